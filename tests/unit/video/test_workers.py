"""Test that a hang or crash costs one video only, and that the number of processes changes nothing."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import av
import pytest
from helpers.corpus.movies import movie

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import open_array, read_table
from clipfold.video.container import Unusable
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe import probe_video
from clipfold.video.probe_shard import probe_shard
from clipfold.video.workers import VideoWorker, map_videos, reported

SETTINGS = DecodeSettings(size=32, views={"clips": {"kind": "uniform", "frames": 4}})


def misbehave(video):
    if video["id"] == 3:
        time.sleep(60)
    if video["id"] == 5:
        os.kill(os.getpid(), signal.SIGSEGV)
    return video["id"] * 10


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_a_hang_and_a_crash_cost_one_item_each(workers):
    started = time.monotonic()
    videos = [{"id": i, "path": "none"} for i in range(12)]
    done = list(map_videos(misbehave, videos, total=12, workers=workers, timeout_s=1.0, stage="probe"))
    assert time.monotonic() - started < 30
    assert [video for video, _ in done] == videos
    failed = {video["id"]: result for video, result in done if isinstance(result, Unusable)}
    assert {i: result.status for i, result in failed.items()} == {3: "timeout", 5: "crashed"}
    assert failed[3].reason == "not finished after 1 s (probe.timeout_s)"
    assert [result for video, result in done if video["id"] not in failed] == [
        i * 10 for i in range(12) if i not in (3, 5)
    ]


def shard(paths, folder, workers):
    folder.mkdir()
    files = {path.name: str(path) for path in paths}
    metadata, clips, index = (folder / name for name in ("metadata.parquet", "clips.npy", "index.parquet"))
    probe_shard(files, metadata, ProbeSettings(), workers)
    decode_shard(files, metadata, {"clips": clips}, index, SETTINGS, workers)
    return [path.read_bytes() for path in (metadata, clips, index)]


def uncoded(path, pix_fmt):
    """Write a video of a few raw pictures, all zeros, in a pixel format."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for number in range(6):
            frame = av.VideoFrame(64, 48, pix_fmt)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def test_pixels_that_cannot_be_converted_cost_one_video(tmp_path):
    odd, good = tmp_path / "a.nut", tmp_path / "b.mp4"
    uncoded(odd, "bgr4")
    good.write_bytes(movie(good))
    shard([odd, good], tmp_path / "shard", 1)
    first, second = read_table(tmp_path / "shard/index.parquet").to_pylist()
    assert (first["status"], second["status"]) == ("unsupported_codec", "ok")
    assert first["reason"].startswith("frames of pixel format bgr4 cannot be converted: ")


def test_output_is_the_same_for_any_number_of_processes(tmp_path):
    paths = [tmp_path / f"{i}.mp4" for i in range(9)]
    for i, path in enumerate(paths):
        path.write_bytes(movie(path, frames=8 + 16 * (i % 3)))
    (tmp_path / "4.mp4").write_bytes(b"no video")
    assert shard(paths, tmp_path / "one", 1) == shard(paths, tmp_path / "three", 3)


def test_one_good_video_among_29_bad_ones_is_delivered(tmp_path):
    good, *bad = (tmp_path / f"{i:02}.mp4" for i in range(30))
    good.write_bytes(movie(good))
    for i, path in enumerate(bad):
        path.write_bytes(good.read_bytes()[: 40 * i])
    shard([*bad[:15], good, *bad[15:]], tmp_path / "shard", 2)
    index = read_table(tmp_path / "shard/index.parquet").to_pylist()
    assert len(index) == 30
    assert [(row["id"], row["row"]) for row in index if row["status"] == "ok"] == [("00.mp4", 0)]
    assert open_array(tmp_path / "shard/clips.npy").shape[0] == 1


def test_a_fact_that_no_table_holds_costs_one_video(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.mp4" for i in range(3)]
    for path in paths:
        path.write_bytes(movie(path))

    def probe(path, settings, *_):  # a rotation as once seen in a damaged header
        return probe_video(path, settings) | ({"rotation": -(2**31)} if path.endswith("1.mp4") else {})

    monkeypatch.setattr("clipfold.video.probe_shard.probe_video", probe)
    shard(paths, tmp_path / "shard", 2)
    statuses = [row["status"] for row in read_table(tmp_path / "shard/index.parquet").to_pylist()]
    assert statuses == ["ok", "unreadable", "ok"]


def test_limits_on_frames_and_size_are_kept(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(movie(path, frames=24, size=(96, 64)))
    assert probe_video(str(path), ProbeSettings(max_frames=23))["status"] == "too_large"
    assert probe_video(str(path), ProbeSettings(max_pixels=96 * 64 - 1))["status"] == "too_large"
    assert probe_video(str(path), ProbeSettings(max_frames=24, max_pixels=96 * 64))["status"] == "ok"
    assert probe_video(str(path), ProbeSettings(min_frames=25))["status"] == "too_short"


def test_the_frames_before_the_cut_of_a_truncated_video_are_kept(tmp_path):
    path = tmp_path / "cut.mkv"
    whole = movie(path, frames=48)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    shard([path], tmp_path / "shard", 1)
    (row,) = read_table(tmp_path / "shard/index.parquet").to_pylist()
    assert (row["status"], row["row"]) == ("truncated", 0)
    assert "last good one is" in row["reason"] or "after" in row["reason"]
    assert 0 < max(row["clips_frames"]) < 47
    assert open_array(tmp_path / "shard/clips.npy")[0].reshape(4, -1).any(axis=1).all()


def test_the_log_shows_the_first_failures_of_each_kind_and_counts_the_others(caplog):
    rows = [
        {"id": str(i), "status": "corrupt" if i % 2 else "ok", "reason": "why", "warning": "odd"} for i in range(40)
    ]
    with caplog.at_level("INFO"):
        assert list(reported("decoded", rows)) == rows
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "0: odd"
    assert len([line for line in lines if "corrupt (why)" in line]) == 5
    assert {"15 more: corrupt", "15 more: usable, with a warning"} < {*lines}
    assert lines[-1] == "decoded 40 videos: 20 ok, 20 corrupt"


def counting(path, end, video):
    """Yield large results and say how many were asked for."""
    for number in range(50):
        path.write_text(str(number))
        yield bytes([number]) * 1_000_000
    if end:
        yield lambda: None  # cannot be sent


def test_a_worker_prepares_some_results_in_advance(tmp_path):
    path, video = tmp_path / "number", {"id": "a", "path": str(tmp_path / "a.mp4")}
    found = VideoWorker(partial(counting, path, False), video, timeout_s=60, stage="decode")
    assert next(found)[0] == 0
    deadline = time.monotonic() + 60
    while int(path.read_text() or 0) < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    assert 10 <= int(path.read_text()) < 25
    assert [each[0] for each in found] == list(range(1, 50))


def test_a_result_that_cannot_be_sent_is_an_error_after_those_before(tmp_path):
    video, seen = {"id": "a", "path": str(tmp_path / "a.mp4")}, []
    with pytest.raises(Unusable):
        seen.extend(
            each[0]
            for each in VideoWorker(partial(counting, tmp_path / "n", True), video, timeout_s=60, stage="decode")
        )
    assert seen == list(range(50))


def test_a_thread_of_an_executor_may_start_a_worker(tmp_path):
    video = {"id": "a", "path": str(tmp_path / "a.mp4")}
    with ThreadPoolExecutor(1) as pool:
        work = partial(counting, tmp_path / "number", False)
        found = pool.submit(lambda: list(VideoWorker(work, video, timeout_s=60, stage="decode"))).result()
    assert len(found) == 50


def slow(seconds, video):
    """Yield a result at once, and the second after some seconds."""
    yield 1
    time.sleep(seconds)
    yield 2


def test_of_several_workers_those_with_results_are_taken_and_those_that_hang_are_told(tmp_path):
    video = {"id": "a", "path": str(tmp_path / "a.mp4")}
    workers = [
        VideoWorker(partial(slow, seconds), video, timeout_s=timeout, stage="decode")
        for seconds, timeout in ((0.0, 60), (60.0, 2.0))
    ]
    taken = {worker: [] for worker in workers}
    while workers:
        for worker in VideoWorker.ready(workers):
            try:
                result = next(worker, None)
            except Unusable as unusable:
                result = unusable.status
            taken[worker].append(result)
            if result not in (1, 2):
                workers.remove(worker)
    assert list(taken.values()) == [[1, 2, None], [1, "timeout"]]
