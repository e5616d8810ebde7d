"""Damage the bytes of a file."""

from __future__ import annotations

import random


def cut(data: bytes, share: float) -> bytes:
    """Return the first `share` of the bytes."""
    return data[: int(len(data) * share)]


def swap(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace bytes in place; fail if they are missing."""
    assert old in data, old
    assert len(old) == len(new), (old, new)
    return data.replace(old, new)


def poke(data: bytes, at: int, new: bytes) -> bytes:
    """Overwrite bytes at an offset."""
    return data[:at] + new + data[at + len(new) :]


def box(data: bytes, kind: bytes) -> int:
    """Return the offset of the payload of the first MP4 box of a kind."""
    return data.index(kind) + 4


def flip(data: bytes, start: float, end: float, every: int) -> bytes:
    """Flip a bit in every `every`-th byte between two shares of the data."""
    raw = bytearray(data)
    for at in range(int(len(raw) * start), int(len(raw) * end), every):
        raw[at] ^= 1 << at % 8
    return bytes(raw)


def blank(data: bytes, start: float, end: float) -> bytes:
    """Zero the bytes between two shares of the data, like a lost disk block."""
    first, last = int(len(data) * start), int(len(data) * end)
    return poke(data, first, bytes(last - first))


def damaged(source: bytes, seed: int) -> bytes:
    """Damage bytes at random: flip bits; zero, swap, insert, drop and truncate blocks.

    The same seed gives the same damage on any machine. One to three kinds of damage are combined; the rate of bit flips
    ranges from one per file to one per ten bytes.
    """
    rng = random.Random(seed)
    raw = bytearray(source)

    def span() -> tuple[int, int]:
        length = max(1, int(len(raw) * 10 ** rng.uniform(-3, -0.5)))
        start = rng.randrange(max(1, len(raw) - length + 1))
        return start, min(start + length, len(raw))

    def flips() -> None:
        for _ in range(max(1, int(len(raw) * 10 ** rng.uniform(-5, -1)))):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)

    def zero() -> None:
        start, end = span()
        raw[start:end] = bytes(end - start)

    def exchange() -> None:
        start, end = span()
        other = rng.randrange(max(1, len(raw) - (end - start) + 1))
        other_end = other + end - start
        here, there = raw[start:end], raw[other:other_end]
        raw[start:end] = there
        raw[other:other_end] = here

    def insert() -> None:
        start, end = span()
        raw[start:start] = rng.randbytes(end - start)

    def drop() -> None:
        start, end = span()
        del raw[start:end]

    def truncate() -> None:
        del raw[int(len(raw) * rng.random()) :]

    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if raw:
            rng.choice([flips, flips, flips, zero, exchange, insert, drop, truncate])()
    return bytes(raw)
