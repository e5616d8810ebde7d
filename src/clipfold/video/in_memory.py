"""Take the views of frames that are in memory, as if they had been decoded from a file."""

from collections.abc import Mapping

import av

from clipfold.storage.files import Array
from clipfold.video.decode import Decoded, Keeper, Shot
from clipfold.video.views import Timeline, View


def take_views(frames: Array, timeline: Timeline, views: Mapping[str, View]) -> Decoded:
    """Take the views of frames.

    Args:
        frames: RGB, uint8 (frames, height, width, 3).
        timeline: Their times.
        views: The views to take. They see the frames in the pixel format of most files, `yuv420p`.
    """
    keeper = Keeper(views, timeline)
    for number in sorted(keeper.wanted):
        frame = av.VideoFrame.from_ndarray(frames[number], format="rgb24")
        keeper.offer(Shot(frame.reformat(format="yuv420p"), None, views), number)
    return Decoded(keeper.arrays, keeper.facts())
