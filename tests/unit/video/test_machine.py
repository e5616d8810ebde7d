"""Test that a fault of the machine ends the job, and that a video at fault costs only itself."""

import errno
import io
import logging
import os
import resource
import signal
import time

import av
import pytest
from helpers.corpus.movies import movie
from helpers.corpus.spoil import blank

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import read_table
from clipfold.storage.memory import peak_memory_mb
from clipfold.video import container
from clipfold.video.container import NotTheVideo, Unusable, describe
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard
from clipfold.video.workers import map_videos

SETTINGS = DecodeSettings(size=32, views={"clips": {"kind": "uniform", "frames": 4}})
PROBE_MB, DECODE_MB = 1000, 1500  # as in the rules


@pytest.fixture
def videos(tmp_path):
    paths = [tmp_path / f"{i}.mkv" for i in range(3)]
    for path in paths:
        path.write_bytes(movie(path, frames=24, options={"g": "4"}))
    return paths


def probe(paths, folder, **limits):
    files = {path.name: str(path) for path in paths}
    probe_shard(files, folder / "metadata.parquet", ProbeSettings(), 2, **limits)
    return read_table(folder / "metadata.parquet").to_pylist()


def decode(folder, settings=SETTINGS, **limits):
    arrays = {name: folder / f"{name}.npy" for name in settings.views}
    files = {path.name: str(path) for path in folder.iterdir()}
    decode_shard(files, folder / "metadata.parquet", arrays, folder / "index.parquet", settings, 2, **limits)
    return read_table(folder / "index.parquet").to_pylist()


def mapped(function, names, **limits):
    videos = [{"id": name, "path": name} for name in names]
    done = map_videos(function, videos, total=len(videos), workers=1, timeout_s=60, stage="decode", **limits)
    return {video["id"]: result for video, result in done}


def odd(video):
    if video["id"] == "odd":
        raise ZeroDivisionError("a rate of 0")
    return "fine"


def test_an_error_of_our_own_costs_one_video_and_is_logged_with_its_traceback(tmp_path):
    log = logging.FileHandler(tmp_path / "log")
    logging.getLogger().addHandler(log)
    try:
        done = mapped(odd, ["a", "odd", "b"])
    finally:
        logging.getLogger().removeHandler(log)
    failed = done.pop("odd")
    assert failed.facts() == {"status": "failed", "reason": "ZeroDivisionError: a rate of 0"}
    assert done == {"a": "fine", "b": "fine"}
    text = (tmp_path / "log").read_text()
    assert text.startswith("odd: ")
    assert "in odd\n    raise ZeroDivisionError" in text


def killed(video):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_ends_the_job():
    with pytest.raises(NotTheVideo, match="v: its process was killed, as when memory runs out: run again"):
        mapped(killed, ["v"])


def too_many_files(video):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    with container.open_video(video["path"], 1 << 20):
        return "opened"


def test_too_many_open_files_end_the_job(videos):
    with pytest.raises(NotTheVideo, match=rf"{videos[0].name}: cannot be read now: .*Too many open files"):
        mapped(too_many_files, [str(videos[0])])


def slow(video):
    time.sleep(1)


def test_time_to_read_a_large_file_does_not_count_towards_the_limit(tmp_path):
    sizes = {"small": 1 << 20, "large": 30 << 20}
    for name, size in sizes.items():
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    videos = [{"id": name, "path": str(tmp_path / name)} for name in sizes]
    (_, small), (_, large) = map_videos(slow, videos, total=2, workers=2, timeout_s=0.3, stage="decode")
    assert small.facts() == {"status": "timeout", "reason": "not finished after 0.405 s (decode.timeout_s)"}
    assert large is None


def test_a_single_frame_whose_clock_is_no_number_costs_its_video_only(tmp_path):
    clock = {"kind": "luma", "rate": 10.0, "frames": 4, "size": 32}
    motion = DecodeSettings(size=32, views=SETTINGS.views | {"motion": clock})
    path = tmp_path / "b.mp4"
    path.write_bytes(blank(movie(path, codec="libx265"), 1 / 25, 1 / 25 + 0.3))
    assert probe([path], tmp_path)[0]["status"] == "ok"
    assert decode(tmp_path, motion)[0]["status"] == "corrupt"


class Disk(io.FileIO):
    """A file that cannot be read past a place."""

    error, place = errno.EIO, 0

    def read(self, size=-1):
        if self.tell() + size > self.place:
            raise OSError(self.error, os.strerror(self.error))
        return super().read(size)


@pytest.mark.parametrize(
    "code", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EBADMSG, errno.ENOMEM]
)
def test_a_file_that_cannot_be_read_ends_the_job_wherever_reading_fails(videos, tmp_path, monkeypatch, code):
    probe(videos, tmp_path)
    monkeypatch.setattr(container, "_opened", lambda path: (Disk if path.endswith("1.mkv") else io.FileIO)(path))
    monkeypatch.setattr(Disk, "error", code)
    for part in (0, 2, 3):
        monkeypatch.setattr(Disk, "place", videos[1].stat().st_size * part // 4)
        with pytest.raises(NotTheVideo, match=r"1\.mkv: cannot be read now"):
            probe(videos, tmp_path / "again")
        with pytest.raises(NotTheVideo, match=r"1\.mkv: cannot be read now"):
            decode(tmp_path)


def test_ffmpegs_own_input_error_is_a_fact_about_the_video():
    assert describe(av.error.OSError(errno.EIO, "short")) == "short"


def greedy(video):
    """Ask for more memory than a job may have, as a hostile video makes its decoder do."""
    if video["id"] != "greedy":
        return "fine"
    bytearray(4 << 30)  # more than earlier tests may have left free in this process
    raise AssertionError("had the memory")


def test_a_video_that_needs_more_memory_than_the_job_has_costs_only_itself():
    done = mapped(greedy, ["a", "greedy", "b"], memory_mb=300)
    greedy_one = done["greedy"]
    assert isinstance(greedy_one, Unusable)
    assert greedy_one.status == "too_large", greedy_one.reason
    assert greedy_one.reason.startswith("needs more memory than the 300 MB of the job (mem_mb of rule decode)")
    assert (done["a"], done["b"]) == ("fine", "fine")


def starved(video):
    """Let the system refuse memory that this process's own limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 20, hard))
    return greedy(video)


def test_a_machine_without_memory_ends_the_job():
    with pytest.raises(NotTheVideo, match="greedy: the machine has no memory left: run again"):
        # The worker takes over what earlier tests left in this process; without a rest of its own limit it is at fault.
        mapped(starved, ["greedy"], memory_mb=int(peak_memory_mb()) + 2000)


def test_a_restored_archive_decodes_and_another_content_of_that_size_does_not(videos, tmp_path):
    probe(videos, tmp_path)
    for path in videos:
        os.utime(path, ns=(0, 1_000_000_000))
    assert [row["status"] for row in decode(tmp_path)] == ["ok"] * 3
    data = bytearray(videos[1].read_bytes())
    data[-50] ^= 1
    videos[1].write_bytes(data)
    with pytest.raises(NotTheVideo, match=r"1\.mkv is not the file that was probed: run again"):
        decode(tmp_path)


@pytest.mark.parametrize("stage", ["probe", "decode"])
def test_a_file_written_while_it_is_read_ends_the_job(videos, tmp_path, monkeypatch, stage):
    probe(videos, tmp_path)
    name = {"probe": "probe_video", "decode": "decode_parts"}[stage]
    seen = {"probe": probe_shard, "decode": decode_shard}[stage].__globals__[name]

    def written(what, *rest):
        result = seen(what, *rest) if stage == "probe" else list(seen(what, *rest))
        path = what if stage == "probe" else what.path
        if path.endswith("1.mkv"):
            with open(path, "ab") as file:
                file.write(b"more")
        return result

    monkeypatch.setattr(f"clipfold.video.{stage}_shard.{name}", written)
    (tmp_path / "again").mkdir()
    with pytest.raises(NotTheVideo, match=r"1\.mkv changed while it was read: run again"):
        probe(videos, tmp_path / "again") if stage == "probe" else decode(tmp_path)


def growing(path, codec):
    """Write a raw stream whose frame size changes on the way."""
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    parts = (
        movie(path, codec=codec, pix_fmt=pix_fmt, size=size, frames=frames)
        for size, frames in (((160, 128), 12), ((1920, 1088), 4))
    )
    path.write_bytes(b"".join(parts))


@pytest.mark.parametrize(
    ("name", "codec", "status"),
    [
        ("a.h264", "libx264", "corrupt"),
        ("a.hevc", "libx265", "too_large"),
        ("a.mjpeg", "mjpeg", "corrupt"),
        ("a.m4v", "mpeg4", "too_large"),
        ("a.m2v", "mpeg2video", "corrupt"),
    ],
)
def test_a_stream_that_grows_on_the_way_is_refused_by_its_decoder(tmp_path, name, codec, status):
    growing(tmp_path / name, codec)
    assert probe([tmp_path / name], tmp_path, memory_mb=PROBE_MB)[0]["status"] == "ok"
    (whole,) = decode(tmp_path, memory_mb=DECODE_MB)
    assert whole["status"] == "ok"  # within the default limit, so the refusal below is for the size
    (refused,) = decode(tmp_path, max_pixels=320 * 240, memory_mb=DECODE_MB)
    assert refused["status"] == status
