"""Tamper with a film: paste in a piece of another film, hold a frame, drop frames."""

import cv2
import numpy as np

from clipfold.demo.scenes import Frames


def splice(host: Frames, insert: Frames, rng: np.random.Generator) -> Frames:
    """Paste an ellipse of `insert` over `host`; it stays in place while the camera of `host` moves.

    Args:
        host: the film to tamper with, `uint8` (frames, height, width, 3).
        insert: another film of the same shape.
        rng: source of the ellipse, 20 to 40 % of the area, anywhere within the frame.

    Returns:
        The tampered film, shaped like `host`.
    """
    _, height, width, _ = host.shape
    area, aspect = rng.uniform(0.2, 0.4), rng.uniform(0.8, 1.25)
    # An ellipse with half-axes of a times the width and b times the height covers pi * a * b of the frame.
    axes = np.sqrt(area / np.pi * np.array([aspect, 1 / aspect]))
    centre = rng.uniform(axes, 1 - axes)
    (x, y), (a, b) = np.rint(np.stack([centre, axes]) * [width, height]).astype(int).tolist()
    inside = cv2.ellipse(np.zeros((height, width), np.uint8), (x, y), (a, b), 0, 0, 360, 1, cv2.FILLED).astype(bool)
    spliced = host.copy()
    spliced[:, inside] = insert[:, inside]
    return spliced


def hold_frame(frames: Frames, rng: np.random.Generator) -> Frames:
    """Replace the frames after a random one with that frame, for a fifth to a third of the film."""
    run = round(len(frames) * rng.uniform(0.2, 0.33))
    start = rng.integers(1, len(frames) - run)
    return np.concatenate([frames[:start], np.repeat(frames[start : start + 1], run, axis=0), frames[start + run :]])


def drop_frames(frames: Frames, run: int, rng: np.random.Generator) -> Frames:
    """Drop `run` adjacent frames, with at least a quarter of the remaining ones on either side of the gap."""
    left = len(frames) - run
    start = rng.integers(left // 4, left - left // 4)
    return np.concatenate([frames[:start], frames[start + run :]])
