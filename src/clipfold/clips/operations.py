"""Apply the operations of augmentation to clips, alike to all frames.

Each takes the content of a clip, `uint8` (frames, height, width, 3), RGB, without padding, and the values that were
drawn for it, and returns as many frames of the same size. OpenCV instead of torchvision's transforms: jobs without
networks need not load torch, and what is used most takes less time (colours: a sixteenth).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from clipfold.storage.files import Array

cv2.setNumThreads(1)  # frames are small; and a worker that is forked while OpenCV's threads run would hang

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


def drop(frames: Array, share: float, seed: int) -> Array:
    """Lose frames: later ones move up, and the last one is repeated."""
    lost = min(len(frames) - 1, round(share * len(frames)))
    kept = np.sort(np.random.default_rng(seed).permutation(len(frames))[lost:])
    return _at(frames, np.append(kept, np.repeat(kept[-1], lost)))


def repeat(frames: Array, share: float, seed: int) -> Array:
    """Show frames twice: later ones move back, and the last ones are lost."""
    twice = np.random.default_rng(seed).permutation(len(frames))[: round(share * len(frames))]
    return _at(frames, np.sort(np.append(np.arange(len(frames)), twice))[: len(frames)])


def speed(frames: Array, factor: float, start: float) -> Array:
    """Play a part of the clip slower, or all of it faster and then the last frame."""
    last = len(frames) - 1
    first = start * last * max(0.0, 1 - factor)
    return _at(frames, np.minimum(last, np.rint(first + factor * np.arange(len(frames)))))


def jitter(frames: Array, steps: int, seed: int) -> Array:
    """Take each frame from up to some steps before or after, in order."""
    places = np.arange(len(frames)) + np.random.default_rng(seed).integers(-steps, steps + 1, len(frames))
    return _at(frames, np.sort(places.clip(0, len(frames) - 1)))


def reverse(frames: Array) -> Array:
    """Play the clip backwards."""
    return frames[::-1]


def crop(frames: Array, share: float, x: float, y: float) -> Array:
    """Enlarge a part: `share` of each edge; at the left (x = 0) or right (1), at the top (y = 0) or bottom (1)."""
    height, width = frames.shape[1:3]
    rows, columns = (max(1, round(edge * share)) for edge in (height, width))
    top, left = round((height - rows) * y), round((width - columns) * x)
    changed = np.empty(frames.shape, np.uint8)
    for frame, target in zip(frames[:, top : top + rows, left : left + columns], changed, strict=True):
        cv2.resize(frame, (width, height), dst=target)
    return changed


def flip(frames: Array) -> Array:
    """Mirror left and right."""
    return cv2.flip(_flat(frames), 1).reshape(frames.shape)


def rotate(frames: Array, degrees: float) -> Array:
    """Turn about the centre, counter-clockwise; mirrored pixels fill the corners."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _warp(frames, [[cos, -sin], [sin, cos]], (0.0, 0.0))


def affine(frames: Array, shear: float, x: float, y: float) -> Array:
    """Shear by an angle in degrees and shift by shares of width and height; mirrored pixels fill the rest."""
    return _warp(frames, [[1, -math.tan(math.radians(shear))], [0, 1]], (x, y))


def elastic(frames: Array, strength: float, seed: int) -> Array:
    """Displace a coarse grid of points at random by up to a share of the shorter edge, smoothly between them.

    Simard et al. 2003, with a grid instead of a filter.
    """
    height, width = frames.shape[1:3]
    points = np.random.default_rng(seed).uniform(-1, 1, (2, 6, 6)).astype(np.float32)
    dx, dy = (
        cv2.resize(p, (width, height), interpolation=cv2.INTER_CUBIC) * strength * min(height, width) for p in points
    )
    columns = (np.arange(width, dtype=np.float32) + dx).astype(np.float32)
    rows = (np.arange(height, dtype=np.float32)[:, None] + dy).astype(np.float32)
    return _each(frames, lambda f: cv2.remap(f, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))


def colour(frames: Array, brightness: float, contrast: float, saturation: float) -> Array:
    """Add `brightness` times full scale; multiply contrast, about the clip's mean, and saturation."""
    flat = _flat(frames)
    mean = float(np.dot(LUMA, cv2.mean(flat)[:3]))
    matrix = np.empty((3, 4))
    matrix[:, :3] = contrast * (saturation * np.eye(3) + (1 - saturation) * LUMA)
    matrix[:, 3] = (1 - contrast) * mean + 255 * brightness
    return cv2.transform(flat, matrix).reshape(frames.shape)


def downscale(frames: Array, share: float) -> Array:
    """Shrink to a share of each edge, and enlarge again."""
    height, width = frames.shape[1:3]
    small = (max(1, round(width * share)), max(1, round(height * share)))
    return _each(frames, lambda f: cv2.resize(cv2.resize(f, small, interpolation=cv2.INTER_AREA), (width, height)))


def blur(frames: Array, sigma: float) -> Array:
    """Blur by a Gaussian of a standard deviation in pixels."""
    return _each(frames, lambda f: cv2.GaussianBlur(f, (0, 0), sigma))


def noise(frames: Array, sigma: float, seed: int) -> Array:
    """Add Gaussian noise, new in each frame; its standard deviation is a share of full scale."""
    added = np.random.default_rng(seed).standard_normal(frames.shape, np.float32)
    return np.asarray((frames + 255 * sigma * added).round().clip(0, 255), np.uint8)


def jpeg(frames: Array, quality: int) -> Array:
    """Compress each frame as JPEG, and decompress it."""

    def recompress(frame: Array) -> Array:
        _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]

    return _each(frames, recompress)


def h264(frames: Array, crf: int) -> Array:
    """Compress the clip as H.264 at a constant quality, and decompress it."""
    from clipfold.video.recompress import recompress  # PyAV: only for this

    return recompress(frames, crf)


def cutout(frames: Array, share: float, x: float, y: float) -> Array:
    """Blacken a rectangle of a share of width and height (DeVries and Taylor 2017); `x`, `y` as in `crop`."""
    height, width = frames.shape[1:3]
    rows, columns = round(height * share), round(width * share)
    top, left = round((height - rows) * y), round((width - columns) * x)
    changed = frames.copy()
    changed[:, top : top + rows, left : left + columns] = 0
    return changed


def _seed(random: np.random.Generator) -> int:
    return int(random.integers(2**32))


# Operation -> what is drawn for it, as arguments of its function, within its limits.
_DRAWS: Mapping[str, Callable[[np.random.Generator, Mapping[str, float]], dict[str, Any]]] = {
    "drop": lambda r, most: {"share": r.uniform(0, most["share"]), "seed": _seed(r)},
    "repeat": lambda r, most: {"share": r.uniform(0, most["share"]), "seed": _seed(r)},
    "speed": lambda r, most: {"factor": most["factor"] ** r.uniform(-1, 1), "start": r.random()},
    "jitter": lambda r, most: {"steps": int(r.integers(1, int(most["steps"]) + 1)), "seed": _seed(r)},
    "reverse": lambda r, most: {},
    "crop": lambda r, most: {"share": r.uniform(most["share"], 1), "x": r.random(), "y": r.random()},
    "flip": lambda r, most: {},
    "rotate": lambda r, most: {"degrees": r.uniform(-1, 1) * most["degrees"]},
    "affine": lambda r, most: {
        "shear": r.uniform(-1, 1) * most["shear"],
        "x": r.uniform(-1, 1) * most["shift"],
        "y": r.uniform(-1, 1) * most["shift"],
    },
    "elastic": lambda r, most: {"strength": r.uniform(0, most["strength"]), "seed": _seed(r)},
    "colour": lambda r, most: {
        "brightness": r.uniform(-1, 1) * most["brightness"],
        "contrast": 1 + r.uniform(-1, 1) * most["contrast"],
        "saturation": 1 + r.uniform(-1, 1) * most["saturation"],
    },
    "downscale": lambda r, most: {"share": r.uniform(most["share"], 1)},
    "blur": lambda r, most: {"sigma": r.uniform(min(0.1, most["sigma"]), most["sigma"])},
    "noise": lambda r, most: {"sigma": r.uniform(0, most["sigma"]), "seed": _seed(r)},
    "jpeg": lambda r, most: {"quality": int(r.integers(int(most["quality"]), 101))},
    "h264": lambda r, most: {"crf": int(r.integers(min(18, int(most["crf"])), int(most["crf"]) + 1))},
    "cutout": lambda r, most: {"share": r.uniform(0, most["share"]), "x": r.random(), "y": r.random()},
}

_APPLIES: Mapping[str, Callable[..., Array]] = {
    each.__name__: each
    for each in (
        drop, repeat, speed, jitter, reverse, crop, flip, rotate, affine, elastic, colour, downscale, blur, noise, jpeg,
        h264, cutout,
    )
}  # fmt: skip

Drawn = Sequence[tuple[str, Mapping[str, Any]]]
"""Operations to apply, in order, each with its arguments."""


def draw_operation(name: str, most: Mapping[str, float], random: np.random.Generator) -> dict[str, Any] | None:
    """Draw the arguments of an operation; None if it is not used.

    Args:
        name: One of `clipfold.clips.presets.OPERATIONS`.
        most: Its `probability`, and the limits of what is drawn.
        random: Source of randomness.
    """
    return _DRAWS[name](random, most) if random.random() < most["probability"] else None


def apply(clip: Array, box: Sequence[int], drawn: Drawn) -> Array:
    """Change the content of a clip; the padding around it stays black.

    Args:
        clip: `uint8` (frames, size, size, 3), RGB.
        box: Top, left, height and width of the content in pixels.
        drawn: What to apply.

    Returns:
        A new array of the same shape.
    """
    top, left, height, width = box
    content = clip[:, top : top + height, left : left + width]
    for name, arguments in drawn:
        content = _APPLIES[name](content, **arguments)
    changed = np.zeros_like(clip)
    changed[:, top : top + height, left : left + width] = content
    return changed


def _at(frames: Array, places: Array) -> Array:
    """Select frames."""
    return np.asarray(frames[places.astype(int)])


def _flat(frames: Array) -> Array:
    """Put frames below each other, as one picture."""
    return np.ascontiguousarray(frames).reshape(-1, *frames.shape[2:])


def _each(frames: Array, change: Callable[[Array], Array]) -> Array:
    return np.stack([change(frame) for frame in frames])


def _warp(frames: Array, matrix: Sequence[Sequence[float]], shift: tuple[float, float]) -> Array:
    """Warp by a linear map about the centre, from places in the result to those in the frames, and a shift."""
    height, width = frames.shape[1:3]
    linear, centre = np.array(matrix, float), np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre - linear @ (centre + np.array(shift) * (width, height))
    inverse = np.column_stack([linear, offset])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return _each(
        frames,
        lambda f: cv2.warpAffine(f, inverse, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101),
    )
