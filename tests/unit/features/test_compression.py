import av
import numpy as np
import pytest
from scipy.fft import dctn, idctn

from clipfold.features.compression import COLUMNS, features
from clipfold.video.picture import Picture
from clipfold.video.views import Crops

RANDOM = np.random.default_rng(0)
FRAMES, PLACES, EDGE = 2, 3, 128
NOISE = RANDOM.normal(128, 12, (FRAMES, PLACES, EDGE, EDGE))
SMOOTH = 0.25 * sum(np.roll(NOISE, shift, axis=(2, 3)) for shift in ((0, 0), (0, 1), (1, 0), (1, 1)))


def quantised(crops, step, phase=0):
    """Quantise the cosine coefficients of 8 x 8 blocks that begin `phase` pixels before a multiple of 8."""
    padded = np.roll(crops, phase, axis=(2, 3))
    blocks = padded.reshape(*crops.shape[:2], EDGE // 8, 8, EDGE // 8, 8)
    coefficients = step * np.rint(dctn(blocks - 128, axes=(3, 5), norm="ortho") / step)
    pixels = (idctn(coefficients, axes=(3, 5), norm="ortho") + 128).reshape(crops.shape)
    return np.roll(np.clip(np.rint(pixels), 0, 255), -phase, axis=(2, 3)).astype(np.uint8)


def test_the_own_grid_shows_at_its_phase_and_another_elsewhere():
    own, shifted, none = (
        features(crops.astype(np.uint8)) for crops in (quantised(SMOOTH, 30), quantised(SMOOTH, 30, 3), SMOOTH)
    )
    assert own["grid"] > 0.2 > own["grid_elsewhere"]
    assert shifted["grid_elsewhere"] > 0.2 > shifted["grid"]
    assert own["grid_shifted"] == 0
    assert shifted["grid_shifted"] == 1
    assert abs(none["grid"]) < 0.1


def test_one_place_with_another_grid_is_the_spread():
    mixed = quantised(SMOOTH, 30)
    mixed[:, 1] = quantised(SMOOTH, 30, 3)[:, 1]
    assert features(mixed)["grid_spread"] > 2 * features(quantised(SMOOTH, 30))["grid_spread"]


def test_quantising_leaves_zeros_gaps_and_fewer_high_frequencies():
    raw, coarse = features(SMOOTH.astype(np.uint8)), features(quantised(SMOOTH, 40))
    assert coarse["zeros_high"] > raw["zeros_high"] + 0.5
    assert coarse["energy_high"] < raw["energy_high"] - 1
    assert features(quantised(NOISE, 10))["comb"] > features(NOISE.astype(np.uint8))["comb"] + 0.3
    assert coarse["first_digit"] > raw["first_digit"]


def test_brightness_changes_nothing():
    crops = quantised(SMOOTH, 20)
    assert features(crops + np.uint8(40)) == pytest.approx(features(crops), abs=2e-3)


def test_a_larger_crop_of_the_same_texture_is_the_same():
    large = np.tile(quantised(SMOOTH, 40), (1, 1, 2, 2))
    for name, value in features(quantised(SMOOTH, 40)).items():
        # The first digits of few coefficients are less certain, and so further from the law.
        assert features(large)[name] == pytest.approx(value, abs=0.5 if "first_digit" in name else 0.1), name


def test_places_and_frames_that_agree_have_no_spread_and_no_drift():
    one = np.repeat(np.repeat(quantised(SMOOTH, 20)[:1, :1], 3, axis=0), 4, axis=1)
    values = features(one)
    assert all(values[name] == pytest.approx(0) for name in COLUMNS if name.endswith(("_spread", "_drift")))
    flat = features(np.full((2, 2, 24, 24), 7, np.uint8))
    assert np.isfinite(list(flat.values())).all()


def test_stored_crops_begin_at_the_corners_of_blocks():
    columns, rows = np.meshgrid(np.arange(203), np.arange(151))
    view = Crops(frames=1, size=64, grid=3)
    for pixels, begins in ((columns, {0, 64, 136}), (rows, {0, 40, 80})):
        frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="gray")
        assert {int(corner) for corner in view.take(Picture(frame, None))[:, 0, 0]} == begins


def test_crops_without_three_blocks_have_no_compression():
    values = features(np.zeros((2, 3, 23, 64), np.uint8))
    assert values.keys() == COLUMNS.keys()
    assert np.isnan(list(values.values())).all()
