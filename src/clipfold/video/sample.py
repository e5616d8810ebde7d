"""Estimate the pixels of videos from a few of them: `python -m clipfold.video.sample`, paths on stdin, one per line.

Prints megapixels (of all frames) per byte of file, as JSON. The forecast runs this in a process of its own with a time
limit, so that no file can hold up or end a run.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

import av

from clipfold.settings import ProbeSettings
from clipfold.video.container import Unusable, open_video


def megapixels_per_byte(paths: Iterable[str]) -> float | None:
    """Read the headers of videos; None if none can be read.

    Args:
        paths: Paths of files; those that cannot be read are left out.

    Returns:
        Mean of frames x width x height / file size, in 1e6 pixels per byte.
    """
    found = []
    for path in paths:
        try:
            with open_video(path, ProbeSettings().max_pixels) as (container, stream):
                seconds = float((container.duration or 0) / av.time_base)
                frames = stream.frames or seconds * float(stream.average_rate or 0)
                found.append(frames * stream.width * stream.height / 1e6 / Path(path).stat().st_size)
        except (Unusable, av.error.FFmpegError, OSError, ValueError):
            continue
    usable = [each for each in found if each > 0]
    return fmean(usable) if usable else None


if __name__ == "__main__":
    print(json.dumps({"megapixels_per_byte": megapixels_per_byte(sys.stdin.read().splitlines())}))
