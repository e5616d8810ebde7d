"""Compute display sizes and letterboxes: pure arithmetic. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels: rows `top` to `top + height`, columns `left` to `left + width`, ends excluded."""

    top: int
    left: int
    height: int
    width: int

    def around(self, other: Box) -> Box:
        """Return the smallest box that holds both.

        >>> Box(0, 2, 8, 4).around(Box(2, 0, 4, 8))
        Box(top=0, left=0, height=8, width=8)
        """
        top, left = min(self.top, other.top), min(self.left, other.left)
        bottom = max(self.top + self.height, other.top + other.height)
        right = max(self.left + self.width, other.left + other.width)
        return Box(top, left, bottom - top, right - left)

    def within(self, other: Box) -> Box:
        """Return what two boxes with the same corner have in common."""
        return Box(self.top, self.left, min(self.height, other.height), min(self.width, other.width))


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a picture, in shares of its height and width, in [0, 1]."""

    top: float
    left: float
    height: float
    width: float

    @property
    def edges(self) -> list[float]:
        """Top, left, height and width."""
        return [self.top, self.left, self.height, self.width]

    def of(self, height: int, width: int) -> Box:
        """Return its pixels in a picture, at least one row and column.

        >>> Region(0.25, 0.5, 0.5, 0.5).of(90, 160)
        Box(top=22, left=80, height=46, width=80)
        """
        top, left = min(round(self.top * height), height - 1), min(round(self.left * width), width - 1)
        bottom, right = round((self.top + self.height) * height), round((self.left + self.width) * width)
        return Box(top, left, max(1, bottom - top), max(1, right - left))


def widened(edges: Sequence[tuple[float, float]], height: int, width: int, least: float) -> Region:
    """Widen spans of a picture's height and width to the least region and, as far as they fit, to a square.

    Args:
        edges: Begin and end of the span of the height and of that of the width, in shares of them.
        height: Height of the picture in pixels.
        width: Its width.
        least: Smallest height and width of the region, in shares of those of the picture.

    >>> widened([(0.25, 0.5), (0.25, 0.75)], 100, 200, 0.1)
    Region(top=0.0, left=0.25, height=1.0, width=0.5)
    """
    shape = height, width
    lengths = [min(1.0, max(end - begin, least)) for begin, end in edges]
    pixels = max(length * edge for length, edge in zip(lengths, shape, strict=True))
    lengths = [min(1.0, max(length, pixels / edge)) for length, edge in zip(lengths, shape, strict=True)]
    begins = [
        min(max((begin + end - length) / 2, 0.0), 1 - length)
        for (begin, end), length in zip(edges, lengths, strict=True)
    ]
    return Region(begins[0], begins[1], lengths[0], lengths[1])


WHOLE = Region(0.0, 0.0, 1.0, 1.0)


def quarter_turns(degrees: int) -> int:
    """Round a rotation to quarter turns; 0 beyond 360 degrees, as a damaged header may hold any number.

    >>> quarter_turns(-90), quarter_turns(180), quarter_turns(-(2**31))
    (-1, 2, 0)
    """
    return round(degrees / 90) if abs(degrees) <= 360 else 0


def displayed(width: int, height: int, aspect: Fraction | None, rotation: int) -> tuple[int, int]:
    """Compute the size in square pixels at which a picture is displayed.

    Args:
        width: stored width in pixels.
        height: stored height in pixels.
        aspect: width of one pixel over its height (sample aspect ratio); None or 0 if unknown, which means square.
        rotation: counter-clockwise rotation in degrees, a multiple of 90.

    Returns:
        Width and height, at least 1 each. As in players, the width is stretched and the height kept.

    >>> displayed(720, 576, Fraction(16, 15), 0), displayed(640, 360, None, 90)
    ((768, 576), (360, 640))
    """
    stretched = max(1, round(width * (aspect or 1)))
    return (height, stretched) if rotation % 180 else (stretched, height)


def letterbox(width: int, height: int, size: int) -> Box:
    """Return the largest centred box with the picture's shape in a square of `size` pixels.

    >>> letterbox(640, 360, 112)
    Box(top=24, left=0, height=63, width=112)
    """
    longest = max(width, height)
    box_width, box_height = (max(1, round(size * edge / longest)) for edge in (width, height))
    return Box((size - box_height) // 2, (size - box_width) // 2, box_height, box_width)
