import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipfold.features.noise import features

FRAMES, PLACES, EDGE = 4, 5, 64


def noisy(deviations=4.0, seed=1, repeated=False, level=128):
    """White Gaussian noise: deviations of it by frame and place; repeated, every frame has the same."""
    shape = (1 if repeated else FRAMES, PLACES, EDGE, EDGE)
    unit = np.random.default_rng(seed).normal(size=shape)
    scale = np.broadcast_to(deviations, (FRAMES, PLACES))[..., None, None]
    return np.clip(np.round(level + scale * unit), 0, 255).astype(np.uint8)


@settings(max_examples=20)
@given(st.floats(1, 20), st.integers(0, 99))
def test_the_level_is_the_logarithm_of_the_noises_deviation(deviation, seed):
    rounding = 1 / 12  # variance of what is lost to whole grey levels
    expected = math.log(deviation**2 + rounding) / 2
    values = features(noisy(deviation, seed))
    assert values["level_median"] == pytest.approx(expected, abs=0.03)
    assert max(values["level_spread"], values["level_ratio"], values["level_drift"]) < 0.1


def test_white_noise_has_the_filters_own_correlation_and_no_kurtosis():
    values = features(noisy())
    assert values["neighbour_correlation"] == pytest.approx(-2 / 3, abs=0.02)  # of [1 -2 1] with itself one pixel on
    assert values["kurtosis"] == pytest.approx(0, abs=0.1)
    assert values["repeat"] == pytest.approx(0, abs=0.03)


def test_one_noisier_place_is_the_spread_and_the_ratio():
    values = features(noisy([2, 4, 16, 4, 4]))
    assert values["level_spread"] == pytest.approx(math.log(8), abs=0.1)
    assert values["level_ratio"] == pytest.approx(math.log(4), abs=0.1)
    assert values["level_median"] == pytest.approx(math.log(4), abs=0.05)
    assert values["level_drift"] < 0.05


def test_noise_that_changes_over_time_is_the_drift():
    values = features(noisy([[2], [8], [2], [8]]))
    assert values["level_drift"] == pytest.approx(math.log(4) / 2, abs=0.03)
    assert values["level_spread"] < 0.05


def test_noise_that_repeats_in_every_frame_correlates_with_itself():
    assert features(noisy(repeated=True))["repeat"] == pytest.approx(1, abs=0.01)
    part = np.where(np.arange(PLACES)[:, None, None] == 2, noisy(repeated=True), noisy(seed=2))
    assert features(part)["repeat_spread"] == pytest.approx(1, abs=0.05)
    assert features(part)["repeat"] == pytest.approx(0, abs=0.05)


def test_rare_strong_pixels_are_kurtosis():
    """One pixel of strength a among n: its 9 residuals have a fourth moment of 18**2 a^4, a second of 36 a^2."""
    crops = np.full((1, 1, 32, 32), 100, np.uint8)
    crops[..., 16, 16] = 200
    pixels = 30 * 30
    excess = 18**2 / pixels / (36 / pixels) ** 2 - 3
    assert features(crops)["kurtosis"] == pytest.approx(np.arcsinh(excess), rel=1e-3)


def test_bands_of_white_noise_halve_from_scale_to_scale():
    """Means of N x N pixels have 1/N of the deviation, of which 2 x 2 of them lose a quarter of the variance."""
    values = features(noisy(4.0))
    for number, pixels in enumerate((1, 2, 4, 8)):
        assert values[f"band_{pixels}"] == pytest.approx(math.log(4 * math.sqrt(0.75) / 2**number), abs=0.07)
    assert values["band_slope"] == pytest.approx(-math.log(2), abs=0.02)


def test_a_place_with_coarse_grains_shows_in_its_band():
    grains = noisy(12.0)[:, :1, ::8, ::8].repeat(8, axis=2).repeat(8, axis=3)
    values = features(np.concatenate([grains, noisy(4.0)[:, 1:]], axis=1))
    assert values["band_8_spread"] > 2
    assert values["band_slope_spread"] > 1
    assert values["level_disagreement"] > 5 * features(noisy(4.0))["level_disagreement"]


@settings(max_examples=20)
@given(st.integers(0, 60), st.sampled_from([(0, 1), (1, 0), (0, -1), (-1, 0)]), st.integers(0, 99))
def test_brightness_and_slopes_are_no_noise(added, direction, seed):
    crops = noisy(3, seed, level=100).astype(int)
    values = features(crops.astype(np.uint8))
    assert features((crops + added).astype(np.uint8)) == pytest.approx(values, abs=1e-4)
    slope = direction[0] * np.arange(EDGE)[:, None] + direction[1] * np.arange(EDGE)
    sloping = features((crops + slope).astype(np.uint8))
    for name in ("level_median", "level_drift", "neighbour_correlation", "kurtosis", "repeat"):
        assert sloping[name] == pytest.approx(values[name], abs=1e-4), name


@settings(max_examples=10)
@given(st.integers(0, 99))
def test_mirrored_crops_are_as_noisy_and_more_noise_is_more(seed):
    crops = noisy(3, seed)
    values = features(crops)
    assert features(crops[..., ::-1]) == pytest.approx(values, abs=1e-3)
    assert np.isfinite(list(values.values())).all()
    levels = [features(noisy(deviation, seed))["level_median"] for deviation in (0.5, 1, 2, 4, 8)]
    assert levels == sorted(levels)


def test_a_flat_crop_and_a_single_frame_have_finite_values():
    flat = features(np.full((FRAMES, PLACES, 16, 16), 7, np.uint8))
    assert flat["level_median"] == pytest.approx(math.log(0.001))
    assert np.isfinite(list(flat.values())).all()
    assert features(noisy()[:1])["repeat"] == 0


@pytest.mark.parametrize(("height", "width"), [(15, 64), (64, 15), (0, 0)])
def test_crops_that_are_too_small_have_no_noise(height, width):
    values = features(noisy()[:, :, :height, :width])
    assert set(values) == set(features(noisy()))
    assert np.isnan(list(values.values())).all()
