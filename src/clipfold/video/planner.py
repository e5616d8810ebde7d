"""Plan the decoding of each packet before any is decoded. Pure; standard library only.

The plan is exact: the wanted frames come out as from a full decode. It leaves out

1. each frame that nobody wants and no other frame refers to,
2. everything between a wanted frame and the keyframe before the next wanted one,
3. everything after the last wanted frame.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum


class Step(Enum):
    """The action for a packet."""

    DECODE = "decode"
    REFERENCE = "decode, unless no other frame refers to it"
    DROP = "skip"
    RESTART = "flush the decoder, then decode"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of the video stream, reduced to what planning needs.

    Args:
        frame: index of its frame in display order; None if it is not shown (hidden by an edit list).
        keyframe: True if decoding can begin here.
    """

    frame: int | None
    keyframe: bool


def plan(packets: Sequence[Packet], wanted: Collection[int]) -> list[Step]:
    """Plan the cheapest exact decoding of the wanted frames.

    Args:
        packets: all packets in file order, which is the decoding order.
        wanted: indices of frames in display order.

    Returns:
        One step per packet, up to the last one needed.

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
            if leading and first > 0:  # unwanted, and refers to packets skipped before the keyframe
                continue
            steps[i] = Step.DECODE if frame in wanted else Step.REFERENCE
        if first > 0:
            steps[first] = Step.RESTART
    while steps and steps[-1] is Step.DROP:
        steps.pop()
    return steps


def _runs(packets: Sequence[Packet], wanted: Collection[int], starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the ranges (first, last) of packets to decode without a gap, sorted and disjoint."""
    by_display = sorted((frame, start) for start in starts if (frame := packets[start].frame) is not None)
    shown = [frame for frame, _ in by_display]
    runs: list[tuple[int, int]] = []
    needed: dict[int, int] = {}  # first packet -> last packet; as many as keyframes, however long the video
    for i, packet in enumerate(packets):
        if packet.frame is not None and packet.frame in wanted:
            # The last keyframe displayed before the frame. Leading pictures are stored after a later keyframe.
            before = bisect_right(shown, packet.frame) - 1
            start = by_display[before][1] if before >= 0 else 0
            needed[min(start, i)] = i
    for first, last in sorted(needed.items()):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(runs[-1][1], last))
        elif runs and not packets[first].keyframe:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    if runs and not (packets[runs[0][0]].keyframe and packets[runs[0][0]].frame is not None):
        runs[0] = (0, runs[0][1])
    return runs
