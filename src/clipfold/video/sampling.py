"""Choose the frames to take, by index arithmetic on a video's timeline. Pure; standard library only."""

import random
from bisect import bisect_left
from collections.abc import Sequence


def uniform(count: int, frames: int) -> list[int]:
    """Take the middle frame of each of `frames` equal segments (Temporal Segment Networks, Wang et al. 2016).

    Args:
        count: number of frames of the video, at least 1.
        frames: number of frames to take; if it exceeds `count`, some are taken more than once.

    Returns:
        `frames` ascending indices in [0, count).

    >>> uniform(100, 4), uniform(2, 4)
    ([12, 37, 62, 87], [0, 0, 1, 1])
    """
    return [(2 * i + 1) * count // (2 * frames) for i in range(frames)]


def divided(count: int, parts: int) -> list[range]:
    """Divide frames into parts of equal length, as far as that goes; each has at least one, if need be its neighbour's.

    >>> divided(7, 2), divided(2, 3)
    ([range(0, 3), range(3, 7)], [range(0, 1), range(0, 1), range(1, 2)])
    """
    starts = [part * count // parts for part in range(parts)]
    return [range(start, max(start + 1, end)) for start, end in zip(starts, [*starts[1:], count], strict=True)]


def of_clip(count: int, frames: int, clips: int = 1, clip: int = 0) -> list[int]:
    """Take frames evenly from one of several clips that are stored one after the other.

    Args:
        count: frames of all clips together.
        frames: frames to take.
        clips: number of the clips.
        clip: which of them, from 0.

    >>> of_clip(16, 2), of_clip(16, 2, 4, 1)
    ([4, 12], [5, 7])
    """
    part = divided(count, clips)[clip]
    return [part[index] for index in uniform(len(part), frames)]


def dense(count: int, frames: int, stride: int) -> list[int]:
    """Take every `stride`-th frame around the middle of the video; beyond its end, repeat the last one.

    >>> dense(100, 4, 2), dense(3, 4, 1)
    ([46, 48, 50, 52], [0, 1, 2, 2])
    """
    return _run((count - _span(frames, stride)) // 2, count, frames, stride)


def random_start(count: int, frames: int, stride: int, seed: str) -> list[int]:
    """Take every `stride`-th frame from a random start, drawn from `seed`: the same on any machine.

    >>> random_start(100, 4, 2, "0/a.mp4")
    [19, 21, 23, 25]
    """
    return _run(random.Random(seed).randint(0, max(0, count - _span(frames, stride))), count, frames, stride)


def nearest_keyframes(count: int, frames: int, keyframes: Sequence[int]) -> list[int]:
    """Take the keyframe nearest to each uniform frame: approximate, but only keyframes are decoded.

    Args:
        keyframes: ascending indices, at least one.

    >>> nearest_keyframes(100, 4, [0, 50, 90])
    [0, 50, 50, 90]
    """
    return [min(keyframes, key=lambda k: abs(k - i)) for i in uniform(count, frames)]


def steady(times: Sequence[float], rate: float, frames: int) -> list[int]:
    """Take the first frame shown at or after each tick of a clock, at most `frames` in all.

    Args:
        times: presentation times in seconds, ascending, at least one.
        rate: ticks per second; if the video has fewer frames per second, each is taken once.
        frames: most frames to take.

    Returns:
        Ascending indices without repeats, starting with 0.

    >>> steady([0.0, 0.1, 0.2, 0.3, 0.4], 5.0, 10), steady([0.0, 1.0, 2.0], 5.0, 2)
    ([0, 2, 4], [0, 1])
    """
    early = 1e-6  # tolerance in seconds: rounding must not skip a frame that is due at the tick
    taken: list[int] = []
    tick, last = 0, int((times[-1] - times[0]) * rate + early)
    while tick <= last and len(taken) < frames:
        # At slow rates the last tick may lie after the last frame, by the tolerance.
        taken.append(min(bisect_left(times, times[0] + tick / rate - early), len(times) - 1))
        # Jump to the first tick after the frame: timestamps may leap by years, as when a recorder sets its clock.
        tick = max(tick, int((times[taken[-1]] - times[0] + early) * rate)) + 1
    return taken


def neighbours(times: Sequence[float], rate: float, pairs: int) -> list[int]:
    """Take pairs of neighbouring ticks of a clock, spread evenly over the video; none of a single frame.

    The frames are some of those that `steady` takes at the same rate, of a video without gaps.

    Args:
        times: presentation times in seconds, ascending, at least one.
        rate: ticks per second; if the video has fewer frames per second, neighbours are its frames.
        pairs: most pairs; a short video has fewer.

    Returns:
        Indices: first and second of a pair, first and second of the next, ...

    >>> neighbours([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], 5.0, 2), neighbours([0.0, 1.0], 5.0, 2)
    ([0, 2, 2, 4], [0, 1])
    """
    early = 1e-6  # as for `steady`

    def at(tick: int) -> int:
        return bisect_left(times, times[0] + tick / rate - early)

    last, found = len(times) - 1, dict[int, int]()
    for middle in uniform(len(times), pairs):
        tick = int((times[middle] - times[0] + early) * rate)
        if at(tick + 1) > last:  # the last pair ends with the last tick in the video
            tick = max(0, tick - 1)
        first = min(at(tick), last - 1)
        if first >= 0:
            found[first] = min(max(at(tick + 1), first + 1), last)
    return [index for pair in found.items() for index in pair]


def _span(frames: int, stride: int) -> int:
    return (frames - 1) * stride + 1


def _run(start: int, count: int, frames: int, stride: int) -> list[int]:
    return [min(max(start, 0) + i * stride, count - 1) for i in range(frames)]
