import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clipfold.delivery.inputs import INPUTS, describe
from clipfold.demo.encode import Take, encode
from clipfold.settings import ProbeSettings
from clipfold.video.probe import probe_video

PROBED = {"duration": 4, "fps": 25.0, "width": 640, "height": 360, "frames": 100, "size_bytes": 288_000}
PICTURE = ("brightness", "contrast", "saturation", "sharpness", "motion", "dark_share")
SIZE = 12
CLIPS = arrays(np.uint8, (3, SIZE, SIZE, 3), elements=st.integers(0, 200))
WHOLE = (0, 0, SIZE, SIZE)


def picture(clip, box=WHOLE, frames=(0, 5, 10)):
    found = describe(PROBED, clip, box, frames)
    return [found[name] for name in PICTURE]


def test_facts_of_the_file():
    clip = np.zeros((3, SIZE, SIZE, 3), np.uint8)
    found = describe(PROBED | {"has_audio": True}, clip, WHOLE, [0, 50, 99])
    assert list(found) == list(INPUTS)
    expected = {"duration_s": 4, "fps": 25, "width": 640, "height": 360, "bits_per_pixel": 0.1, "audio": 1}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert all(type(value) is float for value in found.values())


def test_what_is_unknown_is_nan():
    found = describe(dict.fromkeys(PROBED), np.zeros((3, SIZE, SIZE, 3), np.uint8), WHOLE, [0, 1, 2])
    assert [name for name in INPUTS if math.isnan(found[name])] == [n for n in INPUTS if n not in PICTURE]
    assert math.isnan(describe(PROBED | {"frames": 0}, np.zeros((1, 2, 2, 3), np.uint8), (0, 0, 2, 2), [0])["motion"])
    assert all(map(math.isnan, picture(np.zeros((3, SIZE, SIZE, 3), np.uint8), frames=())))


def test_pictures_of_known_values():
    clip = np.full((2, 4, 4, 3), 100, np.uint8)
    assert picture(clip, (0, 0, 4, 4), [0, 1]) == [100, 0, 0, 0, 0, 0]
    clip[1] = 20  # a dark frame
    assert picture(clip, (0, 0, 4, 4), [0, 1]) == [60, 0, 0, 0, 80, 0.5]
    clip[:] = [200, 50, 10]
    assert picture(clip, (0, 0, 4, 4), [0, 1])[2] == 190
    clip[:, :, :2], clip[:, :, 2:] = 0, 30  # an upright edge: one of three steps across
    assert picture(clip, (0, 0, 4, 4), [0, 1]) == pytest.approx([15, 15, 0, 300, 0, 1])
    assert picture(clip.swapaxes(1, 2), (0, 0, 4, 4), [0, 1]) == pytest.approx([15, 15, 0, 300, 0, 1])


@given(
    CLIPS, st.integers(0, 255), st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(2, 8), st.integers(2, 8))
)
def test_padding_changes_nothing(clip, padding, box):
    top, left, height, width = box
    padded = np.full_like(clip, padding)
    content = clip[:, top : top + height, left : left + width]
    padded[:, top : top + height, left : left + width] = content
    assert picture(padded, box) == picture(clip, box)
    alone = picture(np.ascontiguousarray(content), (0, 0, height, width))
    assert picture(clip, box) == pytest.approx(alone)


@given(CLIPS, st.integers(1, 55))
def test_more_light_moves_the_brightness_alone(clip, added):
    before, after = picture(clip), picture(clip + np.uint8(added))
    assert after[0] == pytest.approx(before[0] + added)
    assert after[1:5] == pytest.approx(before[1:5])
    assert after[5] <= before[5]


@given(CLIPS)
def test_repeated_and_missing_frames_do_not_count_as_still(clip):
    once = picture(clip[:2], frames=[0, 7])
    assert picture(clip[[0, 1, 2]], frames=[0, 7]) == once  # the third is padding of a short video
    twice = picture(clip[[0, 0, 1, 1]], frames=[0, 0, 7, 7])
    assert twice == pytest.approx(once)


def test_one_frame_has_no_motion_and_one_pixel_no_gradient():
    found = describe(PROBED, np.full((1, 1, 1, 3), 9, np.uint8), (0, 0, 1, 1), [0])
    assert math.isnan(found["motion"])
    assert math.isnan(found["sharpness"])
    assert found["brightness"] == 9


def test_a_row_of_the_probe_is_what_it_takes(tmp_path):
    film = np.random.default_rng(0).integers(0, 256, (30, 64, 96, 3), dtype=np.uint8)
    path = tmp_path / "a.mp4"
    path.write_bytes(encode(film, Take("h264", ".mp4", Fraction(15), 30), bits_per_pixel=0.3))
    found = describe(probe_video(str(path), ProbeSettings()), film[::10], (0, 0, 64, 96), [0, 10, 20])
    expected = {"duration_s": 2, "fps": 15, "width": 96, "height": 64, "audio": 0}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["bits_per_pixel"] == pytest.approx(8 * path.stat().st_size / (30 * 64 * 96))
