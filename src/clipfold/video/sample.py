"""Estimate the pixels of videos from a few of them: `python -m clipfold.video.sample`, paths on stdin, one per line.

Prints megapixels (of all frames) per byte and per video, as JSON. The forecast runs this in a process of its own with a
time limit, so that no file can hold up or end a run.
"""

import json
import sys
from collections.abc import Iterable
from statistics import fmean

import av
import numpy as np

from clipfold.image.frames import open_frames
from clipfold.image.read import read_image
from clipfold.image.source import kind_of, size_of
from clipfold.settings import ProbeSettings
from clipfold.video.container import Unusable, open_video


def measure(paths: Iterable[str]) -> dict[str, float | None]:
    """Read the headers of videos; those that cannot be read are left out.

    Args:
        paths: Paths of files, folders and archives of frames, and members of tar files.

    Returns:
        `per_byte`: mean of frames x width x height / size, in 1e6 pixels per byte; `per_video`: mean of frames x width
        x height in 1e6 pixels. None if none can be read.
    """
    found = []
    for path in paths:
        try:
            pixels, size = _megapixels(path), size_of(path)
        except (Unusable, av.error.FFmpegError, OSError, ValueError):
            continue
        if pixels > 0 and size > 0:
            found.append((pixels / size, pixels))
    per_byte, per_video = map(fmean, zip(*found, strict=True)) if found else (None, None)
    return {"per_byte": per_byte, "per_video": per_video}


def _megapixels(path: str) -> float:
    most = ProbeSettings().max_pixels
    if kind_of(path) == "frames":
        with open_frames(path) as images:
            return float(len(images) * np.prod(read_image(images.read(0), most).pixels.shape[:2]) / 1e6)
    with open_video(path, most) as (container, stream):
        seconds = float((container.duration or 0) / av.time_base)
        frames = stream.frames or seconds * float(stream.average_rate or 0)
        return frames * stream.width * stream.height / 1e6


if __name__ == "__main__":
    print(json.dumps(measure(sys.stdin.read().splitlines())))
