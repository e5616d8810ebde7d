"""Compression: strength and phase of the block grid, quantisation, and traces of an earlier compression."""

from functools import lru_cache

import numpy as np

from clipfold.storage.files import Array

_BLOCK = 8
_EPSILON = 1e-2  # grey levels
_LOW = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1))  # coefficients that survive most quantisers
_LARGEST = 40  # coefficients beyond do not count in histograms
_BENFORD = np.log10(1 + 1 / np.arange(1, 10))
_UNITS = {
    "grid": "log ratio",
    "grid_elsewhere": "log ratio",
    "grid_shifted": "share of crops",
    "zeros_low": "share of coefficients",
    "zeros_middle": "share of coefficients",
    "zeros_high": "share of coefficients",
    "energy_low": "log grey levels",
    "energy_middle": "log grey levels",
    "energy_high": "log grey levels",
    "comb": "log ratio",
    "first_digit": "divergence",
    "kurtosis": "asinh of the excess",
}
COLUMNS = {f"{name}{end}": unit for name, unit in _UNITS.items() for end in ("", "_spread", "_drift")}


def features(crops: Array) -> dict[str, float]:
    """Compute traces of block compression in crops that begin at multiples of 8 pixels.

    Args:
        crops: `uint8` of (frames, places, height, width).

    Returns:
        A value for each of `COLUMNS`; all NaN for crops under 24 pixels. `grid`: logarithm of the mean step across the
        edges of the file's own 8 x 8 blocks over the median of the other phases; `grid_elsewhere`: of the strongest
        other phase, as an earlier compression leaves it in a shifted picture; `grid_shifted`: whether that one is the
        stronger. Of the coefficients of the cosine transform of blocks, in three bands of frequency: `zeros` (below
        half a grey level) and `energy`. `comb`: strongest peak of the spectrum of the histogram of low coefficients,
        over its median, as quantising twice leaves it (Popescu & Farid 2004); `first_digit`: divergence of their first
        digits from Benford's law (Fu, Shi & Su 2007); `kurtosis` of their distribution. Each is the median over all
        crops; `_spread` is the range over the places, `_drift` the mean deviation over time.
    """
    if min(crops.shape[-2:]) < 3 * _BLOCK:
        return dict.fromkeys(COLUMNS, np.nan)
    measured = np.stack([_measure(frame.tobytes(), frame.shape) for frame in crops])
    values: dict[str, float] = {}
    for number, name in enumerate(_UNITS):
        series = measured[:, number]
        values[name] = float(np.mean(series) if name == "grid_shifted" else np.median(series))
        values[f"{name}_spread"] = float(np.ptp(np.median(series, axis=0)))
        values[f"{name}_drift"] = float(series.std(axis=0).mean())
    return values


@lru_cache(maxsize=32)  # overlapping windows of a long video have frames in common
def _measure(frame: bytes, shape: tuple[int, ...]) -> Array:
    """Measure the crops of a frame: float64 of (values, places)."""
    pixels = np.frombuffer(frame, np.uint8).reshape(shape).astype(np.float64)
    return np.concatenate([_grid(pixels), np.stack([_coefficients(crop) for crop in pixels], axis=1)])


def _grid(pixels: Array) -> Array:
    """Compare the steps across pixels of each of the 8 phases, in both directions: (3, places)."""
    phases = np.zeros((len(pixels), _BLOCK))
    for axis in (1, 2):
        steps = np.abs(np.diff(pixels, axis=axis)).mean(axis=3 - axis)
        # A step before pixel k lies at phase k mod 8: those between blocks at phase 0.
        for phase in range(_BLOCK):
            phases[:, phase] += steps[:, (phase - 1) % _BLOCK :: _BLOCK].mean(axis=1)
    own, others = phases[:, 0], phases[:, 1:]
    usual = np.log(np.median(phases, axis=1) + _EPSILON)
    grid, elsewhere = np.log(own + _EPSILON) - usual, np.log(others.max(axis=1) + _EPSILON) - usual
    return np.stack([grid, elsewhere, (elsewhere > grid).astype(float)])


def _coefficients(crop: Array) -> list[float]:
    rows, columns = (edge // _BLOCK for edge in crop.shape)
    blocks = crop[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3)
    # einsum without matrix products: their sums depend on the number of threads.
    found = np.einsum("ij,bjk->bik", _COSINES, blocks.reshape(-1, _BLOCK, _BLOCK) - 128)
    # Rounded, so that coefficients of just half a grey level fall on the same side on every machine.
    found = np.einsum("bik,lk->bil", found, _COSINES).round(6)
    size = np.abs(found)
    bands = [size[:, band] for band in _BANDS]
    low = np.concatenate([found[:, i, j] for i, j in _LOW])
    return [
        *(float((band < 0.5).mean()) for band in bands),
        *(float(np.log(np.sqrt((band**2).mean()) + _EPSILON)) for band in bands),
        _comb(low),
        _first_digit(np.abs(low)),
        float(np.arcsinh((low**4).mean() / ((low**2).mean() ** 2 + 1e-6) - 3)),
    ]


def _comb(low: Array) -> float:
    histogram = np.bincount(
        np.clip(np.rint(low), -_LARGEST, _LARGEST).astype(int) + _LARGEST, minlength=2 * _LARGEST + 1
    )
    histogram[[0, _LARGEST, -1]] = 0  # zero and the ends hold the rest
    spectrum = np.abs(np.fft.rfft(histogram - histogram.mean()))[len(histogram) // 12 :]  # slow: the shape itself
    return float(np.log(spectrum.max() + 1) - np.log(np.median(spectrum) + 1))


def _first_digit(size: Array) -> float:
    large = size[size >= 1]
    digits = np.floor(large / 10 ** np.floor(np.log10(large))).astype(int)
    share = (np.bincount(np.clip(digits, 1, 9), minlength=10)[1:] + 1) / (len(digits) + 9)
    return float((share * np.log(share / _BENFORD)).sum())


def _bands() -> list[Array]:
    order = np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    return [(low <= order) & (order < high) for low, high in ((1, 4), (4, 8), (8, 15))]


_BANDS = _bands()
_COSINES = np.cos(np.pi / _BLOCK * np.outer(np.arange(_BLOCK), np.arange(_BLOCK) + 0.5)) * np.sqrt(2 / _BLOCK)
_COSINES[0] /= np.sqrt(2)  # the orthonormal cosine transform (DCT-II), as of JPEG
