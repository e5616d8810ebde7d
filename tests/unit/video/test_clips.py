"""Test that a view of several clips takes one of each equal part of the video, in one pass."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.numbered import numbers, write_numbered
from hypothesis import given
from hypothesis import strategies as st

from clipfold.config import read_config
from clipfold.settings import ProbeSettings
from clipfold.video.decode import decode_video
from clipfold.video.probe import probe_video
from clipfold.video.sampling import divided, of_clip, uniform
from clipfold.video.stream import Stream
from clipfold.video.views import Timeline, build_views

KINDS = [{"kind": "uniform"}, {"kind": "dense", "stride": 2}, {"kind": "random_start"}, {"kind": "keyframe"}]


def selected(count, keyframes=(0,), **options):
    timeline = Timeline("a", [i / 25 for i in range(count)], keyframes)
    return build_views({"clips": options}, 16)["clips"].select(timeline)


@given(st.integers(1, 100), st.integers(1, 12))
def test_parts_are_equal_and_none_is_empty(count, number):
    parts = divided(count, number)
    assert len(parts) == number
    assert all(0 <= part.start < part.stop <= count for part in parts)
    if count >= number:
        assert [frame for part in parts for frame in part] == [*range(count)]
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("options", KINDS)
@given(count=st.integers(1, 90), frames=st.integers(1, 6), clips=st.integers(1, 5))
def test_each_clip_is_what_its_part_alone_would_give(options, count, frames, clips):
    found = selected(count, range(0, count, 7), frames=frames, clips=clips, **options)
    assert len(found) == clips * frames
    assert found == sorted(found)
    for clip, part in enumerate(divided(count, clips)):
        own = found[clip * frames : (clip + 1) * frames]
        if options["kind"] == "keyframe":  # the nearest may lie in another part
            assert own == [min(range(0, count, 7), key=lambda k: abs(k - i)) for i in of_part(part, frames)]
        else:
            assert {*own} <= {*part}
        if options["kind"] == "uniform":
            assert own == of_part(part, frames)


def of_part(part, frames):
    return [part.start + i for i in uniform(len(part), frames)]


@pytest.mark.parametrize("options", KINDS)
@given(count=st.integers(1, 90), frames=st.integers(1, 6))
def test_one_clip_is_as_ever(options, count, frames):
    assert selected(count, frames=frames, clips=1, **options) == selected(count, frames=frames, **options)


def test_random_clips_do_not_all_begin_alike():
    starts = np.array(selected(1000, kind="random_start", frames=1, stride=1, clips=10)) % 100
    assert len({*starts}) > 5


def test_a_stored_clip_gives_its_own_frames():
    assert of_clip(12, 4, 3, 1) == [4, 5, 6, 7]
    assert of_clip(12, 2, 3, 2) == [9, 11]
    assert of_clip(13, 5) == uniform(13, 5)


def test_all_clips_come_from_one_pass(tmp_path):
    write_numbered(tmp_path / "a.mp4", range(100), Fraction(1, 25), options={"preset": "ultrafast", "g": "12"})
    stream = Stream.of(
        probe_video(str(tmp_path / "a.mp4"), ProbeSettings()) | {"id": "a", "path": str(tmp_path / "a.mp4")}
    )
    options = {"kind": "dense", "frames": 3, "stride": 2, "clips": 4, "size": 128}
    several, alone = (build_views({"few": options | change}, 128) for change in ({}, {"clips": 1}))
    found = decode_video(stream, several)
    wanted = [10, 12, 14, 35, 37, 39, 60, 62, 64, 85, 87, 89]
    assert found.facts["few_frames"].tolist() == numbers(found.arrays["few"]) == wanted
    assert found.arrays["few"].shape == (12, 128, 128, 3)
    assert found.facts["decoded"] <= 100
    assert decode_video(stream, alone).arrays["few"].shape == (3, 128, 128, 3)


def test_an_image_has_one_clip():
    clips = {"kind": "uniform", "frames": 4, "clips": 2}
    with pytest.raises(ValueError, match=r"decode\.views\.clips\.clips is .*: leave it out: an image has no time"):
        read_config({"modality": "image", "decode": {"views": {"clips": clips}}})


def test_only_views_of_clips_have_several():
    with pytest.raises(ValueError, match=r"decode\.views\.motion\.clips is 2: a luma view takes"):
        build_views({"motion": {"kind": "luma", "rate": 10.0, "frames": 4, "size": 16, "clips": 2}}, 16)
    with pytest.raises(ValueError, match=r"decode\.views\.clips\.clips is 0: use a positive number"):
        build_views({"clips": {"kind": "uniform", "frames": 4, "clips": 0}}, 16)
