"""What a forger does to a film: paste in a piece of another one, hold a frame, leave frames out."""

import cv2
import numpy as np

from clipfold.demo.scenes import Frames


def splice(host: Frames, insert: Frames, rng: np.random.Generator) -> Frames:
    """Paste an ellipse of `insert` over `host`; it stands still while the host's camera moves.

    Args:
        host: the film to tamper with, shape (frames, height, width, 3).
        insert: another film of the same shape.
        rng: draws the ellipse: 20 to 40 % of the area, anywhere within the frame.
    """
    _, height, width, _ = host.shape
    area, aspect = rng.uniform(0.2, 0.4), rng.uniform(0.8, 1.25)
    # An ellipse whose half-axes are the fractions a and b of the width and the height covers pi * a * b of the frame.
    axes = np.sqrt(area / np.pi * np.array([aspect, 1 / aspect]))
    centre = rng.uniform(axes, 1 - axes)
    (x, y), (a, b) = np.rint(np.stack([centre, axes]) * [width, height]).astype(int).tolist()
    inside = cv2.ellipse(np.zeros((height, width), np.uint8), (x, y), (a, b), 0, 0, 360, 1, cv2.FILLED).astype(bool)
    spliced = host.copy()
    spliced[:, inside] = insert[:, inside]
    return spliced


def hold_frame(frames: Frames, rng: np.random.Generator) -> Frames:
    """Show one frame for a fifth to a third of the film, in place of those that follow it."""
    run = round(len(frames) * rng.uniform(0.2, 0.33))
    start = rng.integers(1, len(frames) - run)
    return np.concatenate([frames[:start], np.repeat(frames[start : start + 1], run, axis=0), frames[start + run :]])


def drop_frames(frames: Frames, run: int, rng: np.random.Generator) -> Frames:
    """Leave out one run of frames, so that at least a quarter of the others lies on either side of the gap."""
    left = len(frames) - run
    start = rng.integers(left // 4, left - left // 4)
    return np.concatenate([frames[:start], frames[start + run :]])
