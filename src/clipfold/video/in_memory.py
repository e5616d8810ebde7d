"""Take the views of frames that are in memory, as if they had been decoded from a file."""

from collections.abc import Mapping

import av

from clipfold.storage.files import Array
from clipfold.video.decode import Decoded, Keeper, Shot
from clipfold.video.views import Timeline, View


def take_views(frames: Array, timeline: Timeline, views: Mapping[str, View], format: str = "yuv420p") -> Decoded:
    """Take the views of frames.

    Args:
        frames: RGB, uint8 (frames, height, width, 3).
        timeline: Their times.
        views: The views to take.
        format: The pixel format in which they see the frames, by default that of most files.
    """
    keeper = Keeper(views, timeline)
    for number in sorted(keeper.wanted):
        keeper.offer(shot_of(frames[number], format), number)
    return keeper.decoded({})


def shot_of(pixels: Array, format: str = "rgb24") -> Shot:
    """Make a decoded frame of pixels: RGB, uint8 (height, width, 3); the views see it in a pixel format."""
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    return Shot(frame if format == "rgb24" else frame.reformat(format=format), None)
