import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from clipfold.features.brightness import features

TRACKS = arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=8), elements=st.integers(0, 155))


def test_the_mean_of_all_steps():
    track = np.array([[[0, 10], [20, 30]], [[255, 255], [255, 255]]], np.uint8)
    assert features(track) == {"mean": 135.0}


@given(TRACKS, st.integers(0, 100))
def test_an_added_constant_shifts_it_and_nothing_else_does(track, added):
    mean = features(track)["mean"]
    assert mean == pytest.approx(sum(map(int, track.flat)) / track.size)
    assert features(track + np.uint8(added))["mean"] == pytest.approx(mean + added)
    assert features(track.repeat(2, axis=1).repeat(3, axis=2))["mean"] == pytest.approx(mean)
    assert features(track[::-1, :, ::-1])["mean"] == pytest.approx(mean)


def test_no_picture_has_no_brightness():
    assert math.isnan(features(np.empty((0, 48, 64), np.uint8))["mean"])
