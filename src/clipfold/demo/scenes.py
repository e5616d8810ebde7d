"""Film procedural scenes: a textured world, moving things, a hand-held camera and its sensor noise.

Lengths are in units of the frame's shorter side and times in seconds, so that a scene looks the same at any frame size
and frame rate, and neither reveals the label.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""A film: `uint8` (frames, height, width, 3), RGB."""

WORLD = 512
"""Edge of a texture in pixels; it is mirrored beyond its edges."""

VIEW = 110
"""Texture pixels across the frame's shorter side at zoom 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The properties that all films of one source share.

    Attributes:
        ground: texture of the world, `uint8` (WORLD, WORLD, 3), RGB.
        things: texture of the moving things, like `ground`.
        radii: radius of each thing, in shorter sides.
        pan: speed of the camera, in shorter sides per second.
        zoom: growth rate of the view per second, as a fraction.
        shake: standard deviation of the camera's tremor, in shorter sides.
        noise: standard deviation of the sensor noise, in grey levels.
    """

    ground: NDArray[np.uint8]
    things: NDArray[np.uint8]
    radii: tuple[float, ...]
    pan: float
    zoom: float
    shake: float
    noise: float


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene at random."""
    return Scene(
        ground=_texture(rng),
        things=_texture(rng),
        radii=tuple(rng.uniform(0.08, 0.2, size=rng.integers(2, 5))),
        pan=rng.uniform(0.15, 0.4),
        zoom=rng.uniform(-0.08, 0.08),
        shake=rng.uniform(0.002, 0.012),
        noise=rng.uniform(2.0, 12.0),
    )


def film(scene: Scene, rng: np.random.Generator, *, frames: int, size: tuple[int, int], fps: float) -> Frames:
    """Film a scene.

    Args:
        scene: the scene to film.
        rng: source of this film's own draws: the paths of camera and things, the brightness and the noise.
        frames: number of frames.
        size: width and height in pixels.
        fps: frames per second.

    Returns:
        The film, `uint8` (frames, height, width, 3), RGB.
    """
    short = min(size)
    seconds = np.arange(frames) / fps
    heading = rng.uniform(0, 2 * np.pi)
    pan = scene.pan * np.array([np.cos(heading), np.sin(heading)])
    camera = rng.uniform(0.5, 2, size=2) + np.outer(seconds, pan) + rng.normal(0, scene.shake, size=(frames, 2))
    zoom = np.exp(scene.zoom * seconds)
    light = 1 + 0.1 * np.sin(rng.uniform(0.5, 2) * seconds + rng.uniform(0, 2 * np.pi))

    # The things swing around fixed points of the frame, each at its own pace, independently of the camera.
    shape = len(scene.radii), 2
    centres = rng.uniform(0, np.array(size) / short, size=shape)
    swings, paces = rng.uniform(0.1, 0.5, size=shape), rng.uniform(0.5, 2, size=shape)
    phases = rng.uniform(0, 2 * np.pi, size=shape)

    shots = []
    for t, second in enumerate(seconds):
        places = centres + swings * np.sin(paces * second + phases)
        mask = np.zeros(size[::-1], np.uint8)
        for (x, y), radius in zip(places * short, scene.radii, strict=True):
            cv2.circle(mask, (round(x), round(y)), round(radius * short), 255, cv2.FILLED)
        shot = _look(scene.ground, camera[t], zoom[t], size)
        cv2.copyTo(_look(scene.things, 1.5 - places[0], 1, size), mask, shot)
        shots.append(cv2.convertScaleAbs(shot, alpha=light[t]))
    return add_noise(np.stack(shots), rng, level=scene.noise)


def add_noise(frames: Frames, rng: np.random.Generator, *, level: float, grain: float = 1) -> Frames:
    """Add grey noise, drawn anew for each frame.

    Args:
        frames: the film, `uint8` (frames, height, width, 3), RGB.
        rng: source of the noise.
        level: standard deviation in grey levels.
        grain: edge of a grain in pixels, at least 1.

    Returns:
        The noisy film, shaped like `frames`.
    """
    count, height, width, _ = frames.shape
    # Uniform noise is several times faster to draw than Gaussian noise and looks the same once encoded.
    grains = rng.random((count, round(height / grain), round(width / grain)), dtype=np.float32)
    noise = np.float32(level * np.sqrt(12)) * (grains - np.float32(0.5))
    noisy = np.empty_like(frames)
    for shot, layer, result in zip(frames, noise, noisy, strict=True):
        layer = cv2.resize(layer, (width, height), interpolation=cv2.INTER_NEAREST)
        cv2.add(shot, cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB), dst=result, dtype=cv2.CV_8U)
    return noisy


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a texture between two colours: octaves of random blobs, with stripes bent by them."""
    blobs = np.zeros((WORLD, WORLD), np.float32)
    fade = rng.uniform(1, 2.5)
    for octave in range(5):
        cells = rng.standard_normal((8 << octave, 8 << octave), dtype=np.float32)
        blobs += cv2.resize(cells, (WORLD, WORLD), interpolation=cv2.INTER_CUBIC) / np.float32(fade**octave)
    steps = np.arange(WORLD, dtype=np.float32) * (2 * np.pi / rng.uniform(12, 50))
    angle = rng.uniform(0, np.pi)
    stripes = np.sin(steps * float(np.cos(angle)) + steps[:, None] * float(np.sin(angle)) + blobs)
    mix = 1 / (1 + np.exp(-blobs - rng.uniform(0.2, 1.2) * stripes))
    dark, light = rng.uniform(20, 110, size=3), rng.uniform(120, 230, size=3)
    colours = np.linspace(dark, light, 256).astype(np.uint8)
    return colours[(255 * mix).astype(np.uint8)]


def _look(texture: NDArray[np.uint8], corner: NDArray[np.float64], zoom: float, size: tuple[int, int]) -> Frames:
    """Cut a frame out of a texture with its top left corner at `corner` (in shorter sides)."""
    scale = zoom * VIEW / min(size)
    matrix = np.array([[scale, 0, corner[0] * VIEW], [0, scale, corner[1] * VIEW]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(texture, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return view.astype(np.uint8, copy=False)
