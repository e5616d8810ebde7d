import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clipfold.features.frame import features


def grid(frames):
    """The columns as an array of (8, 8, 3), checked for their names."""
    values = features(frames)
    names = [f"{colour}_{row}_{column}" for row in range(8) for column in range(8) for colour in "rgb"]
    assert set(values) == set(names)
    return np.array([values[name] for name in names]).reshape(8, 8, 3)


def clip(seed, frames=3, height=24, width=40):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)


def test_a_coloured_field_is_in_the_column_of_its_place_and_colour():
    frames = np.zeros((2, 16, 32, 3), np.uint8)
    frames[0, 2:4, 20:24, 1] = 200  # green, second row, sixth column, in one of two frames
    values = features(frames)
    assert values.pop("g_1_5") == 100
    assert set(values.values()) == {0.0}


@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 40), (9, 21), (50, 13)])
def test_each_field_is_the_mean_of_its_area(height, width):
    frames = clip(1, height=height, width=width)
    fine = frames.mean(axis=0).repeat(8, axis=0).repeat(8, axis=1)  # a field is so many whole fine pixels
    expected = fine.reshape(8, height, 8, width, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(grid(frames), expected, rtol=1e-4)


@given(arrays(np.uint8, (3, 16, 24, 3), elements=st.integers(0, 255)))
def test_only_the_mean_picture_counts_and_a_mirrored_one_mirrors_the_fields(frames):
    found = grid(frames)
    np.testing.assert_allclose(grid(frames[::-1]), found, atol=1e-3)
    np.testing.assert_allclose(grid(np.concatenate([frames, frames])), found, atol=1e-3)
    np.testing.assert_allclose(grid(frames[:, :, ::-1]), found[:, ::-1], atol=1e-3)
    np.testing.assert_allclose(grid(frames[..., ::-1]), found[..., ::-1], atol=1e-3)
    np.testing.assert_allclose(grid(frames.repeat(2, axis=1)), found, atol=1e-3)


@given(st.integers(1, 100))
def test_an_added_constant_shifts_every_field(added):
    frames = clip(2) // 2
    np.testing.assert_allclose(grid(frames + np.uint8(added)), grid(frames) + added, rtol=1e-4)
