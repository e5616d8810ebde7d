"""Make near duplicates of a film: other sizes, bit rates and frame rates, mirrored, cropped, cut."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from clipfold.demo.scenes import Frames


@dataclass(frozen=True, slots=True)
class Recording:
    """A film to encode.

    Args:
        frames: `uint8` (frames, height, width, 3), RGB.
        fps: frames per second.
        bits_per_pixel: target of the encoder.
    """

    frames: Frames
    fps: float
    bits_per_pixel: float = 0.2


def smaller(recording: Recording, rng: np.random.Generator) -> Recording:
    """Resize to 40 to 75 % of width and height."""
    share = rng.uniform(0.4, 0.75)
    return replace(recording, frames=_resized(recording.frames, share, share))


def stretched(recording: Recording, rng: np.random.Generator) -> Recording:
    """Change the aspect ratio by up to a third, without cropping."""
    return replace(recording, frames=_resized(recording.frames, rng.uniform(0.75, 1), rng.uniform(0.75, 1)))


def rougher(recording: Recording, rng: np.random.Generator) -> Recording:
    """Encode at a fifth to a tenth of the bit rate."""
    return replace(recording, bits_per_pixel=recording.bits_per_pixel / rng.uniform(5, 10))


def slower(recording: Recording, rng: np.random.Generator) -> Recording:
    """Keep 40 to 70 % of the frames and lower the frame rate by the same factor."""
    share = rng.uniform(0.4, 0.7)
    kept = np.floor(np.arange(round(len(recording.frames) * share)) / share).astype(int)
    return replace(recording, frames=recording.frames[kept], fps=recording.fps * share)


def mirrored(recording: Recording, rng: np.random.Generator) -> Recording:
    """Swap left and right."""
    return replace(recording, frames=np.ascontiguousarray(recording.frames[:, :, ::-1]))


def cropped(recording: Recording, rng: np.random.Generator) -> Recording:
    """Crop to 70 to 95 % of the width and of the height, anywhere."""
    _, height, width, _ = recording.frames.shape
    h, w = (2 * int(edge * rng.uniform(0.7, 0.95) / 2) for edge in (height, width))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    return replace(recording, frames=recording.frames[:, top : top + h, left : left + w])


def cut(recording: Recording, rng: np.random.Generator) -> Recording:
    """Keep 40 to 70 % of the film, starting anywhere."""
    length = round(len(recording.frames) * rng.uniform(0.4, 0.7))
    start = int(rng.integers(0, len(recording.frames) - length + 1))
    return replace(recording, frames=recording.frames[start : start + length])


CHANGES: Mapping[str, Callable[[Recording, np.random.Generator], Recording]] = {
    change.__name__: change for change in (smaller, stretched, rougher, slower, mirrored, cropped, cut)
}


def _resized(frames: Frames, across: float, down: float) -> Frames:
    _, height, width, _ = frames.shape
    size = 2 * max(8, round(width * across / 2)), 2 * max(8, round(height * down / 2))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
