"""What to do with each packet of a video, decided before any is decoded: pure. Standard library only.

Nothing is approximate here: the wanted frames come out exactly as from decoding everything. What is left out is

1. a frame that nobody wants and no other frame refers to,
2. everything from the last wanted frame up to the keyframe before the next one,
3. everything after the last wanted frame.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum


class Step(Enum):
    """What to do with a packet."""

    DECODE = "decode"
    REFERENCE = "decode, unless no other frame refers to it"
    DROP = "leave out"
    RESTART = "finish what came before, then decode with an empty decoder"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of the video stream, as far as planning is concerned.

    Args:
        frame: index of its frame in the order of display; None if it is not shown (cut away by an edit list).
        keyframe: decoding can begin here.
    """

    frame: int | None
    keyframe: bool


def plan(packets: Sequence[Packet], wanted: Collection[int]) -> list[Step]:
    """Choose the cheapest exact way to the wanted frames.

    Args:
        packets: in the order of the file, which is that of decoding.
        wanted: indices of frames in the order of display.

    Returns:
        A step per packet, up to the last one that is needed.

    >>> gop = [Packet(0, True), Packet(2, False), Packet(1, False), Packet(3, True), Packet(4, False)]
    >>> [step.name for step in plan(gop, {4})]
    ['DROP', 'DROP', 'DROP', 'RESTART', 'DECODE']
    >>> [step.name for step in plan(gop, {0, 2})]
    ['DECODE', 'DECODE']
    """
    starts = [i for i, packet in enumerate(packets) if packet.keyframe and packet.frame is not None] or [0]
    steps = [Step.DROP] * len(packets)
    for first, last in _runs(packets, wanted, starts):
        shown_from = packets[first].frame
        for i in range(first, last + 1):
            frame = packets[i].frame
            leading = shown_from is not None and frame is not None and frame < shown_from
            if leading and first > 0:  # refers to what was left out before the keyframe, and nobody wants it
                continue
            steps[i] = Step.DECODE if frame in wanted else Step.REFERENCE
        if first > 0:
            steps[first] = Step.RESTART
    while steps and steps[-1] is Step.DROP:
        steps.pop()
    return steps


def _runs(packets: Sequence[Packet], wanted: Collection[int], starts: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of packets, first and last, that have to be decoded without a gap; sorted, apart from one another."""
    by_display = sorted((frame, start) for start in starts if (frame := packets[start].frame) is not None)
    shown = [frame for frame, _ in by_display]
    runs: list[tuple[int, int]] = []
    needed = []
    for i, packet in enumerate(packets):
        if packet.frame is not None and packet.frame in wanted:
            # The keyframe shown last before the frame; a leading picture is stored behind a later keyframe.
            before = bisect_right(shown, packet.frame) - 1
            start = by_display[before][1] if before >= 0 else 0
            needed.append((min(start, i), i))
    for first, last in sorted(needed):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(runs[-1][1], last))
        elif runs and not packets[first].keyframe:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    if runs and not (packets[runs[0][0]].keyframe and packets[runs[0][0]].frame is not None):
        runs[0] = (0, runs[0][1])
    return runs
