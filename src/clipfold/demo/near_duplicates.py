"""What becomes of a film that is passed on: other sizes, rates and frame rates, mirrored, cropped, cut."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from clipfold.demo.scenes import Frames


@dataclass(frozen=True, slots=True)
class Copy:
    """A film as it is to be encoded: its frames, frames per second, and the bits per pixel that the encoder aims at."""

    frames: Frames
    fps: float
    bits_per_pixel: float = 0.2


def smaller(copy: Copy, rng: np.random.Generator) -> Copy:
    """Scale to 40 to 75 % of the edges."""
    share = rng.uniform(0.4, 0.75)
    return replace(copy, frames=_resized(copy.frames, share, share))


def stretched(copy: Copy, rng: np.random.Generator) -> Copy:
    """Change the picture's shape by up to a third, without cutting anything off."""
    return replace(copy, frames=_resized(copy.frames, rng.uniform(0.75, 1), rng.uniform(0.75, 1)))


def rougher(copy: Copy, rng: np.random.Generator) -> Copy:
    """Encode at a fifth to a tenth of the bit rate."""
    return replace(copy, bits_per_pixel=copy.bits_per_pixel / rng.uniform(5, 10))


def slower(copy: Copy, rng: np.random.Generator) -> Copy:
    """Keep 40 to 70 % of the frames, at as much lower a frame rate."""
    share = rng.uniform(0.4, 0.7)
    kept = np.floor(np.arange(round(len(copy.frames) * share)) / share).astype(int)
    return replace(copy, frames=copy.frames[kept], fps=copy.fps * share)


def mirrored(copy: Copy, rng: np.random.Generator) -> Copy:
    """Swap left and right."""
    return replace(copy, frames=np.ascontiguousarray(copy.frames[:, :, ::-1]))


def cropped(copy: Copy, rng: np.random.Generator) -> Copy:
    """Keep 70 to 95 % of the width and of the height, anywhere."""
    _, height, width, _ = copy.frames.shape
    h, w = (2 * int(edge * rng.uniform(0.7, 0.95) / 2) for edge in (height, width))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    return replace(copy, frames=copy.frames[:, top : top + h, left : left + w])


def cut(copy: Copy, rng: np.random.Generator) -> Copy:
    """Keep 40 to 70 % of the film, from any point on."""
    length = round(len(copy.frames) * rng.uniform(0.4, 0.7))
    start = int(rng.integers(0, len(copy.frames) - length + 1))
    return replace(copy, frames=copy.frames[start : start + length])


CHANGES: Mapping[str, Callable[[Copy, np.random.Generator], Copy]] = {
    change.__name__: change for change in (smaller, stretched, rougher, slower, mirrored, cropped, cut)
}


def _resized(frames: Frames, across: float, down: float) -> Frames:
    _, height, width, _ = frames.shape
    size = 2 * max(8, round(width * across / 2)), 2 * max(8, round(height * down / 2))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
