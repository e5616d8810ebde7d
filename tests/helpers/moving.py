"""Films of moving things with known speeds, drawn alike at any size and rate."""

import numpy as np


def film(times, width=128, height=96, things=((0.3, 0.5, 0.2, 0.0),), pan=0.0, added=0.0, radius=0.12):
    """Draw textured discs before a textured wall; lengths are in sizes, the root of the picture's area.

    Args:
        times: Of the frames, in seconds.
        things: Of each disc x and y at time 0, and its velocity in the scene.
        pan: Speed of the camera to the right, sizes per second.
        added: Grey levels to add.
    """
    size = np.sqrt(width * height)
    y, x = np.mgrid[:height, :width] / size
    frames = []
    for time in times:
        picture = texture(x + pan * time, y, 1)
        for number, (left, top, across, down) in enumerate(things):
            dx, dy = x - left - (across - pan) * time, y - top - down * time
            picture = np.where(np.hypot(dx, dy) < radius, texture(dx, dy, 2 + number), picture)
        frames.append(picture)
    return np.clip(np.rint(110 + 45 * np.stack(frames) + added), 0, 255).astype(np.uint8)


def texture(x, y, seed):
    """Add waves of random directions, 0.1 to 0.3 sizes long; about -2 to 2."""
    random = np.random.default_rng(seed)
    waves = [(random.uniform(3, 10), random.uniform(0, np.pi), random.uniform(0, 6)) for _ in range(12)]
    return sum(np.sin(2 * np.pi * f * (x * np.cos(a) + y * np.sin(a)) + p) for f, a, p in waves) / np.sqrt(6)
