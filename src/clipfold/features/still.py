"""A single frame, the middle one: colours in a coarse grid, edges by direction; all that can be told without motion."""

import cv2
import numpy as np

from clipfold.storage.files import Array

GRID, CELLS, DIRECTIONS = 4, 2, 4
COLUMNS = {
    f"{colour}_{row}_{column}": "grey levels" for row in range(GRID) for column in range(GRID) for colour in "rgb"
} | {
    f"edges_{row}_{column}_{direction}": "grey levels per pixel"
    for row in range(CELLS)
    for column in range(CELLS)
    for direction in range(DIRECTIONS)
}


def features(frames: Array) -> dict[str, float]:
    """Describe the middle frame of a clip.

    Args:
        frames: `uint8` of (frames, height, width, 3), RGB, without padding.

    Returns:
        A value for each of `COLUMNS`: means of each colour over a 4 x 4 grid; the strength of edges of each of four
        directions, mean over the fields of a 2 x 2 grid (after Dalal & Triggs 2005).
    """
    frame = frames[len(frames) // 2]
    colours = cv2.resize(frame.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    strength, angle = cv2.cartToPolar(cv2.Sobel(grey, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(grey, cv2.CV_32F, 0, 1) / 8)
    direction = np.rint(angle * (DIRECTIONS / np.pi)).astype(int) % DIRECTIONS
    layers = np.where(direction[..., None] == np.arange(DIRECTIONS), strength[..., None], 0).astype(np.float32)
    edges = cv2.resize(layers, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return dict(zip(COLUMNS, [*colours.ravel().tolist(), *edges.ravel().tolist()], strict=True))
