"""Make near duplicates of a film that hide where it comes from: parts of it, turned, inverted, within other films."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from clipfold.demo.near_duplicates import Recording
from clipfold.demo.scenes import Frames

Disguise = Callable[[Recording, np.random.Generator, Recording], Recording]
"""Make a near duplicate from a film, a source of random numbers, and an unrelated film."""


def cropped_to(share: float, film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Crop to `share` of the width and of the height, anywhere."""
    _, height, width, _ = film.frames.shape
    return _window(film, rng, _even(height * share), _even(width * share))


def portrait(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Crop to 9:16 at full height, anywhere."""
    height, width = film.frames.shape[1:3]
    return _window(film, rng, height, min(width, _even(height * 9 / 16)))


def mirrored_cropped(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Crop to 60 to 80 % of the width and of the height, and swap left and right."""
    part = cropped_to(rng.uniform(0.6, 0.8), film, rng, other)
    return replace(part, frames=np.ascontiguousarray(part.frames[:, :, ::-1]))


def inset(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Show the film, at 40 to 55 % of its width and height, in a corner of another (picture in picture)."""
    height, width = film.frames.shape[1:3]
    share = rng.uniform(0.4, 0.55)
    behind = _sized(_as_long(other.frames, len(film.frames)), height, width)
    small = _sized(film.frames, _even(height * share), _even(width * share))
    top, left = (
        int(rng.choice([gap // 12, gap - gap // 12])) for gap in (height - small.shape[1], width - small.shape[2])
    )
    behind[:, top : top + small.shape[1], left : left + small.shape[2]] = small
    return replace(film, frames=behind)


def side_by_side(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Show the film beside another of the same size."""
    both = [film.frames, _sized(_as_long(other.frames, len(film.frames)), *film.frames.shape[1:3])]
    return replace(film, frames=np.concatenate(both if rng.random() < 0.5 else both[::-1], axis=2))


def shaky(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Shake as a hand would: by up to 8 % of the picture's width and 4 degrees, another way in each frame."""
    steps = rng.normal(size=(len(film.frames), 3)) * film.fps**-0.5
    for i in range(1, len(steps)):
        steps[i] += 0.9 * steps[i - 1]
    steps = np.clip(3 * steps, -4, 4)
    width = film.frames.shape[2]
    return replace(
        film,
        frames=np.stack(
            [
                _turned(f, d, 1.2, 0.02 * width * x, 0.02 * width * y)
                for f, (x, y, d) in zip(film.frames, steps, strict=True)
            ]
        ),
    )


def turned(degrees: float, film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Turn by `degrees`, either way, and enlarge so that no corner is empty."""
    height, width = film.frames.shape[1:3]
    angle = np.deg2rad(degrees)
    zoom = float(np.cos(angle) + max(width / height, height / width) * np.sin(angle))
    sign = rng.choice([-1, 1])
    return replace(film, frames=np.stack([_turned(frame, sign * degrees, zoom) for frame in film.frames]))


def turned_90(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Turn by a quarter, either way."""
    return replace(film, frames=np.ascontiguousarray(np.rot90(film.frames, rng.choice([-1, 1]), axes=(1, 2))))


def upside_down(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Turn by a half."""
    return replace(film, frames=np.ascontiguousarray(film.frames[:, ::-1, ::-1]))


def negative(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Invert all colours."""
    return replace(film, frames=255 - film.frames)


def blurred_fill(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Fit into a picture of 9:16, the rest filled with the same film, enlarged and blurred."""
    height, width = film.frames.shape[1:3]
    tall = _even(width * 16 / 9)
    strip = max(2, _even(height * width / tall * 0.9))
    left = (width - min(width, strip)) // 2
    behind = _sized(film.frames[:, :, left : left + strip], tall, width)
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), width / 20) for frame in behind])
    top = (tall - height) // 2
    blurred[:, top : top + height] = film.frames
    return replace(film, frames=blurred)


def captioned(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Write two lines over the lower third, and draw a border."""
    frames = film.frames.copy()
    height, width = frames.shape[1:3]
    edge = max(2, width // 40)
    for frame in frames:
        for line, text in enumerate(("You will not believe", "what happens next")):
            place = (width // 10, int(height * (0.72 + 0.13 * line)))
            cv2.putText(frame, text, place, cv2.FONT_HERSHEY_DUPLEX, width / 450, (255, 255, 0), max(1, width // 200))
        cv2.rectangle(frame, (0, 0), (width - 1, height - 1), (200, 30, 60), 2 * edge)
    return replace(film, frames=frames)


def graded(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Remove the colours, brighten and flatten."""
    grey = film.frames.mean(axis=3, keepdims=True) / 255
    done = 255 * (0.15 + 0.7 * grey ** rng.uniform(0.5, 0.8))
    return replace(film, frames=np.repeat(done.astype(np.uint8), 3, axis=3))


def backwards(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Play from the end to the beginning."""
    return replace(film, frames=np.ascontiguousarray(film.frames[::-1]))


def joined(film: Recording, rng: np.random.Generator, other: Recording) -> Recording:
    """Play another film of the same length first, then this one."""
    first = _sized(_as_long(other.frames, len(film.frames)), *film.frames.shape[1:3])
    return replace(film, frames=np.concatenate([first, film.frames]))


DISGUISES: Mapping[str, Disguise] = {
    "cropped to 60 %": partial(cropped_to, 0.6),
    "cropped to 50 %": partial(cropped_to, 0.5),
    "cropped to 9:16": portrait,
    "mirrored and cropped": mirrored_cropped,
    "picture in picture": inset,
    "side by side": side_by_side,
    "blurred fill": blurred_fill,
    "shaky": shaky,
    "turned by 4 degrees": partial(turned, 4),
    "turned by 10 degrees": partial(turned, 10),
    "turned by 90 degrees": turned_90,
    "upside down": upside_down,
    "negative": negative,
    "captions and border": captioned,
    "brightened, grey": graded,
    "backwards": backwards,
    "after another film": joined,
}


def with_title(film: Recording, title: str, seconds: float = 0.8) -> Recording:
    """Show the title on a card before the film."""
    height, width = film.frames.shape[1:3]
    card = np.full((height, width, 3), (20, 40, 110), np.uint8)
    cv2.circle(card, (width // 2, height // 3), height // 6, (240, 200, 40), -1)
    cv2.putText(card, title, (width // 12, height * 3 // 4), cv2.FONT_HERSHEY_TRIPLEX, width / 420, (255, 255, 255), 2)
    return replace(film, frames=np.concatenate([np.repeat(card[None], round(seconds * film.fps), axis=0), film.frames]))


def with_logo(film: Recording, name: str) -> Recording:
    """Draw a station's logo and banner into the film."""
    frames = film.frames.copy()
    height, width = frames.shape[1:3]
    for frame in frames:
        frame[int(height * 0.86) :] = (150, 20, 30)
        cv2.putText(
            frame, name, (width // 20, int(height * 0.95)), cv2.FONT_HERSHEY_DUPLEX, width / 600, (255, 255, 255), 1
        )
        cv2.circle(frame, (width * 9 // 10, height // 8), height // 14, (255, 255, 255), -1)
        cv2.putText(
            frame, "7", (width * 88 // 100, height // 6), cv2.FONT_HERSHEY_DUPLEX, width / 500, (150, 20, 30), 2
        )
    return replace(film, frames=frames)


def _window(film: Recording, rng: np.random.Generator, height: int, width: int) -> Recording:
    top, left = (
        int(rng.integers(0, whole - part + 1))
        for whole, part in zip(film.frames.shape[1:3], (height, width), strict=True)
    )
    return replace(film, frames=film.frames[:, top : top + height, left : left + width])


def _turned(frame: Frames, degrees: float, zoom: float, right: float = 0.0, down: float = 0.0) -> Frames:
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom) + np.array([[0, 0, right], [0, 0, down]])
    return np.asarray(cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))


def _sized(frames: Frames, height: int, width: int) -> Frames:
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames])


def _as_long(frames: Frames, length: int) -> Frames:
    """Repeat a film until it is long enough."""
    return frames[np.arange(length) % len(frames)]


def _even(length: float) -> int:
    return 2 * round(length / 2)
