"""Segments of a file: probed and decoded with it at once, right in every frame, and each with a status of its own."""

import os
import time
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from helpers.numbered import numbers, write_numbered

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.status import Status
from clipfold.storage.files import open_array, read_table
from clipfold.video import container
from clipfold.video.decode_parts import decode_parts
from clipfold.video.decode_shard import decode_shard
from clipfold.video.parts import Part
from clipfold.video.probe import probe_video
from clipfold.video.probe_shard import probe_shard, record_contents
from clipfold.video.stream import Stream
from clipfold.video.views import Uniform
from clipfold.video.workers import map_videos, punctual

SETTINGS = DecodeSettings(size=128, views={"clips": {"kind": "uniform", "frames": 4}})
B_FRAMES = {"preset": "medium", "x264-params": "keyint=50:bframes=4:b-adapt=0", "threads": "1"}


def shard(folder, path, cuts, **more):
    """Probe and decode segments of a file, and `more` whole files; return the rows of both tables, and the clips."""
    segments = {f"{i:03}": ("film", start, end) for i, (start, end) in enumerate(cuts)}
    paths = {name: str(path) for name in segments} | more
    metadata, clips, index = (folder / name for name in ("metadata.parquet", "clips.npy", "index.parquet"))
    probe_shard(paths, metadata, ProbeSettings(), 2, segments=segments)
    decode_shard(paths, metadata, {"clips": clips}, index, SETTINGS, 2)
    assert [each.name for each in folder.glob(".*")] == []
    probed = {row["id"]: row for row in read_table(metadata).to_pylist()}
    return probed, {row["id"]: row for row in read_table(index).to_pylist()}, open_array(clips)


@pytest.fixture
def film(tmp_path):
    """Twelve seconds at 25 frames per second."""
    (tmp_path / "films").mkdir()
    path = tmp_path / "films/a.mp4"
    write_numbered(path, range(300), Fraction(1, 25), options=B_FRAMES)
    return path


CLOCKS = {
    "steady.mp4": ([i * 40 for i in range(300)], Fraction(1, 1000)),
    "late.mkv": ([3_600_000 + i * 40 for i in range(300)], Fraction(1, 1000)),
    "varying.mkv": (np.cumsum(np.random.default_rng(0).integers(20, 90, 300)).tolist(), Fraction(1, 1000)),
    "gap.mp4": ([i * 40 + 5000 * (i > 100) for i in range(300)], Fraction(1, 1000)),
    "late.ts": ([900_000 + i * 3600 for i in range(300)], Fraction(1, 90_000)),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_a_segment_holds_the_frames_of_its_times(tmp_path, name):
    stamps, tick = CLOCKS[name]
    path = tmp_path / name
    write_numbered(path, stamps, tick, options=B_FRAMES)
    times = [float((stamp - stamps[0]) * tick) for stamp in stamps]
    cuts = [(i / 2, i / 2 + 0.75) for i in range(24)] + [(None, 2.0), (4.0, None), (0.04, 0.2)]
    (tmp_path / "shard").mkdir()
    probed, index, clips = shard(tmp_path / "shard", path, cuts)
    for i, (start, end) in enumerate(cuts):
        inside = [n for n, t in enumerate(times) if (start or 0) - 1e-9 <= t < (end or 1e9) - 1e-9]
        row = index[f"{i:03}"]
        if not inside:
            assert row["status"] == "no_frames"
            continue
        facts = probed[f"{i:03}"]
        assert row["status"] == "ok" or len(inside) == 1 or inside[-1] == 299
        assert (facts["frames"], facts["first_frame"]) == (len(inside), inside[0])
        following = times[inside[-1] + 1] if inside[-1] + 1 < 300 else None
        assert following is None or facts["duration"] == pytest.approx(following - times[inside[0]], abs=2e-3)
        wanted = [inside[n] for n in row["clips_frames"]]
        assert wanted == [inside[(2 * n + 1) * len(inside) // 8] for n in range(4)]
        assert numbers(clips[row["row"]]) == wanted


def test_a_file_is_opened_once_by_each_stage_and_its_packets_are_stored_once(film, tmp_path, monkeypatch):
    opened = tmp_path / "opened"
    seen = container._opened

    def noted(path):
        with open(opened, "a") as log:
            log.write(f"{path}\n")
        return seen(path)

    monkeypatch.setattr(container, "_opened", noted)
    (tmp_path / "shard").mkdir()
    probed, index, _ = shard(tmp_path / "shard", film, [(i / 20, i / 20 + 0.5) for i in range(200)])
    assert Counter(opened.read_text().split()) == {str(film): 2}
    assert {row["status"] for row in index.values()} == {"ok"}
    assert [row["id"] for row in probed.values() if row["pts"]] == ["000"]


def test_segments_that_cannot_be_used_say_why(film, tmp_path):
    cuts = [(1, 2), (20, 25), (11.9, 12.2), (11, 13), (4.001, 4.03), (4.02, 4.05), (0, 12), (13, None)]
    (tmp_path / "shard").mkdir()
    probed, index, _ = shard(tmp_path / "shard", film, cuts)
    statuses = ["ok", "no_frames", "truncated", "truncated", "no_frames", "too_short", "ok", "no_frames"]
    assert [row["status"] for row in index.values()] == statuses
    assert [row["row"] for row in index.values()] == [0, None, 1, 2, None, 3, 4, None]
    reasons = [row["reason"] for row in probed.values()]
    assert reasons[1] == "no frame is shown from 20 s to 25 s: the video ends at 12 s"
    assert reasons[3] == "the segment goes from 11 s to 13 s, but the video ends at 12 s"
    assert reasons[4] == "no frame is shown from 4.001 s to 4.03 s: the frames are farther apart"
    assert reasons[5] == "1 frames from 4.02 s to 4.05 s, at least 2 are needed (probe.min_frames)"
    contents = [row["content"] for row in probed.values()]
    digest = probed["000"]["digest"]
    assert contents[:2] == [f"{digest}[25:50]", None]
    assert contents[6] == digest


def test_segments_before_the_cut_of_a_file_are_whole(tmp_path):
    path = tmp_path / "a.mkv"
    write_numbered(path, range(0, 12_000, 40), Fraction(1, 1000), options=B_FRAMES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    (tmp_path / "shard").mkdir()
    _, index, clips = shard(tmp_path / "shard", path, [(0, 4), (4, 6), (5, None), (7, 11), (11, 12)])
    assert [row["status"] for row in index.values()] == ["ok", "ok", *["truncated"] * 3]
    assert numbers(clips[1]) == [106, 118, 131, 143]


@pytest.mark.parametrize(("name", "size"), [("a.ts", 4000), ("a.ts", 1000), ("a.mp4", 1000)])
def test_damage_moves_no_segment_before_or_behind_it(tmp_path, name, size):
    path = tmp_path / name
    write_numbered(path, range(300), Fraction(1, 25), options=B_FRAMES)
    data = bytearray(path.read_bytes())
    begin = len(data) // 2
    data[begin : begin + size] = np.random.default_rng(0).bytes(size)
    path.write_bytes(data)
    (tmp_path / "shard").mkdir()
    _, index, clips = shard(tmp_path / "shard", path, [(i, i + 1) for i in range(12)])
    for i in (0, 1, 2, 3, 4, 8, 9, 10, 11):
        assert index[f"{i:03}"]["status"] == "ok"
        assert numbers(clips[index[f"{i:03}"]["row"]]) == [25 * i + n for n in (3, 9, 15, 21)]
    if name == "a.mp4":  # where the decoder reports errors, they are typed
        assert "corrupt" in {index[f"{i:03}"]["status"] for i in (5, 6, 7)}


def test_a_file_that_is_none_costs_all_of_its_segments_and_no_other_file(film, tmp_path):
    (tmp_path / "b.mp4").write_bytes(b"no video")
    (tmp_path / "shard").mkdir()
    probed, index, _ = shard(tmp_path / "shard", tmp_path / "b.mp4", [(0, 1), (1, 2)], whole=str(film))
    assert [row["status"] for row in index.values()] == ["unreadable", "unreadable", "ok"]
    assert [row["content"] for row in probed.values()] == [None, None, probed["whole"]["digest"]]


def test_whole_rows_and_segments_of_a_file_share_its_pass(film, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "both").mkdir()
    _, alone, clip = shard(tmp_path / "one", film, [], whole=str(film))
    _, index, clips = shard(tmp_path / "both", film, [(None, None), (0, 6), (6, 12)])
    assert np.array_equal(clips[0], clip[0])
    same = ("clips_frames", "clips_times", "clips_box", "status")
    assert [index["000"][name] for name in same] == [alone["whole"][name] for name in same]
    assert numbers(clips[2]) == [168, 206, 243, 281]


def test_memory_does_not_grow_with_the_number_of_segments(film):
    stream = Stream.of(probe_video(str(film), ProbeSettings()) | {"id": "a", "path": str(film)})
    views = {"clips": Uniform(frames=4, size=512)}
    parts = [Part(str(i), i / 20, i / 20 + 0.2) for i in range(230)]
    held = []
    for part, decoded in decode_parts(stream, views, parts):
        assert decoded.facts["status"] == Status.OK
        held = [*held[-1:], (part, decoded)]
    import tracemalloc

    tracemalloc.start()
    for _ in decode_parts(stream, views, parts):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * 4 * 512 * 512 * 3  # 230 segments would take 720 MB; some five overlap


def stuck(video):
    def results():
        yield "first"
        time.sleep(60)

    return list(punctual(results(), 0.3))


@pytest.mark.slow
def test_a_segment_that_never_comes_ends_its_file_in_the_time_of_one(tmp_path):
    started = time.monotonic()
    videos = [{"id": "a", "path": "none", "parts": [0] * 200}]
    ((_, result),) = map_videos(stuck, videos, total=1, workers=1, timeout_s=600, stage="decode")
    assert time.monotonic() - started < 30
    assert result.facts() == {
        "status": "timeout",
        "reason": "no segment was finished in time (decode.timeout_s)",
    }


def test_the_content_of_a_file_is_recorded_once(film, tmp_path):
    (tmp_path / "shard").mkdir()
    shard(tmp_path / "shard", film, [(0, 1), (1, 2)])
    record_contents(tmp_path / "shard/metadata.parquet", {"film": "key"}, tmp_path / "record.json")
    stat = os.stat(film)
    text = (tmp_path / "record.json").read_text()
    assert text.count(f'"{stat.st_size}-{stat.st_mtime_ns}"') == 1


def test_the_feature_of_size_is_that_of_the_segment(film, tmp_path):
    (tmp_path / "shard").mkdir()
    probed, _, _ = shard(tmp_path / "shard", film, [(0, 6), (0, 12)])
    size = film.stat().st_size
    assert [row["size_bytes"] for row in probed.values()] == [round(size / 2), size]
