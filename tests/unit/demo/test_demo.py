"""Test the demo videos: reproducible, balanced, two of them broken."""

import csv
import io
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clipfold.demo.encode import Take, encode
from clipfold.demo.write import DAMAGE, make_demo, plan_videos

SOURCES = 2


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("demo"), sources=SOURCES)


def read_rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_plan_is_balanced() -> None:
    videos = plan_videos(12)
    assert len({video.path for video in videos}) == 48
    assert set(Counter((video.group, video.label) for video in videos).values()) == {2}
    recordings = {
        label: Counter((video.place, video.take) for video in videos if video.label == label)
        for label in ("real", "tampered")
    }
    assert recordings["real"] == recordings["tampered"]


def test_plan_has_one_broken_video_of_each_label_in_different_sources() -> None:
    broken = [video for video in plan_videos(SOURCES) if video.path in DAMAGE]
    assert {video.label for video in broken} == {"real", "tampered"}
    assert len({video.group for video in broken}) == 2


def test_plan_holds_what_breaks_pipelines() -> None:
    videos = plan_videos(12)
    assert {video.take.codec for video in videos} == {"h264", "hevc", "mpeg4", "vp9", "av1"}
    assert {video.take.suffix for video in videos} == {".mp4", ".mkv", ".webm", ".avi"}
    assert any(" " in video.path for video in videos)
    assert any(not video.path.isascii() for video in videos)
    assert any(width < height for width, height in (video.place.size for video in videos))
    assert any(video.take.fps.denominator == 1001 for video in videos)
    assert all(2 <= video.take.frames / video.take.fps <= 4 for video in videos)


def test_table_names_every_file(table: Path) -> None:
    rows = read_rows(table)
    assert [tuple(row.values()) for row in rows] == [(v.path, v.label, v.group) for v in plan_videos(SOURCES)]
    assert {row["path"] for row in rows} == {f"videos/{file.name}" for file in (table.parent / "videos").iterdir()}


def test_each_video_has_the_frames_and_size_planned(table: Path) -> None:
    for video in plan_videos(SOURCES):
        if video.path not in DAMAGE:
            with av.open(table.parent / video.path) as container:
                frames = list(container.decode(video=0))
            assert len(frames) == video.take.frames
            assert (frames[0].width, frames[0].height) == video.place.size


@pytest.mark.parametrize("path", DAMAGE)
def test_broken_videos_cannot_be_opened(table: Path, path: str) -> None:
    with pytest.raises(av.InvalidDataError):
        av.open(table.parent / path)


def test_same_seed_gives_same_bytes_over_an_interrupted_run(table: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "01-harbour-2.mp4").write_bytes(b"half a video")
    again = make_demo(tmp_path, sources=SOURCES)
    for row in read_rows(table):
        assert (again.parent / row["path"]).read_bytes() == (table.parent / row["path"]).read_bytes()


def test_other_seed_gives_other_videos(table: Path, tmp_path: Path) -> None:
    other = make_demo(tmp_path, seed=1, sources=SOURCES)
    assert other.read_bytes() == table.read_bytes()
    assert all(
        (tmp_path / row["path"]).read_bytes() != (table.parent / row["path"]).read_bytes() for row in read_rows(table)
    )


@pytest.mark.parametrize("sources", [1, 13])
def test_sources_out_of_range_are_refused(tmp_path: Path, sources: int) -> None:
    with pytest.raises(ValueError, match=f"sources is {sources}: use 2 to 12"):
        make_demo(tmp_path, sources=sources)


def test_a_turned_video_is_stored_rotated_and_its_header_says_so() -> None:
    film = np.zeros((4, 80, 64, 3), np.uint8)
    film[:, :20] = 255  # a bright sky
    data = encode(film, Take("h264", ".mp4", Fraction(25), 4), bits_per_pixel=1, turns=1)
    with av.open(io.BytesIO(data), "r") as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (80, 64)
    upright = np.rot90(frame.to_ndarray(format="gray"), frame.rotation // 90)
    assert upright[:16].min() > 200
    assert upright[24:].max() < 50


def test_encoding_leaves_the_process_its_scheduling_policy() -> None:
    encode(np.zeros((2, 64, 64, 3), np.uint8), Take("av1", ".mkv", Fraction(25), 2), bits_per_pixel=0.3)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
