"""Plan the decoding of each packet before any is decoded. Pure; standard library only.

The plan is exact: the wanted frames come out as from a full decode. It leaves out

1. each frame that nobody wants and no other frame refers to,
2. everything between a wanted frame and the keyframe before the next wanted one,
3. everything after the last wanted frame.
"""

from bisect import bisect_right
from collections.abc import Collection, Container, Sequence
from enum import Enum


class Step(Enum):
    """The action for a packet."""

    DECODE = "decode"
    REFERENCE = "decode, unless no other frame refers to it"
    DROP = "skip"
    RESTART = "flush the decoder, then decode"


HIDDEN = -1
"""In place of a frame's index: the packet's frame is not shown (hidden by an edit list)."""


def plan(frames: Sequence[int], keyframes: Collection[int], wanted: Container[int]) -> list[Step]:
    """Plan the cheapest exact decoding of the wanted frames.

    Args:
        frames: for each packet in file order, which is the decoding order, the index of its frame in display order, or
            `HIDDEN`.
        keyframes: positions in `frames` where decoding can begin.
        wanted: indices of frames in display order.

    Returns:
        One step per packet, up to the last one needed.

    >>> [step.name for step in plan([0, 2, 1, 3, 4], {0, 3}, {4})]
    ['DROP', 'DROP', 'DROP', 'RESTART', 'DECODE']
    >>> [step.name for step in plan([0, 2, 1, 3, 4], {0, 3}, {0, 2})]
    ['DECODE', 'DECODE']
    """
    starts = {i for i in keyframes if frames[i] != HIDDEN}
    steps = [Step.DROP] * len(frames)
    for first, last in _runs(frames, keyframes, starts, wanted):
        for i in range(first, last + 1):
            leading = HIDDEN < frames[i] < frames[first]
            if leading and first > 0:  # unwanted, and refers to packets skipped before the keyframe
                continue
            steps[i] = Step.DECODE if frames[i] in wanted else Step.REFERENCE
        if first > 0:
            steps[first] = Step.RESTART
    while steps and steps[-1] is Step.DROP:
        steps.pop()
    return steps


def _runs(
    frames: Sequence[int], keyframes: Collection[int], starts: Collection[int], wanted: Container[int]
) -> list[tuple[int, int]]:
    """Return the ranges (first, last) of packets to decode without a gap, sorted and disjoint."""
    by_display = sorted((frames[start], start) for start in starts)
    shown = [frame for frame, _ in by_display]
    runs: list[tuple[int, int]] = []
    needed: dict[int, int] = {}  # first packet -> last packet; no more of them than keyframes
    for i, frame in enumerate(frames):
        if frame in wanted:
            # The last keyframe displayed before the frame. Leading pictures are stored after a later keyframe.
            before = bisect_right(shown, frame) - 1
            start = by_display[before][1] if before >= 0 else 0
            needed[min(start, i)] = i
    for first, last in sorted(needed.items()):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(runs[-1][1], last))
        elif runs and first not in keyframes:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    if runs and runs[0][0] not in starts:
        runs[0] = (0, runs[0][1])
    return runs
