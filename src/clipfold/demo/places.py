"""The twelve sources of the demo, each with its two takes."""

from dataclasses import dataclass
from fractions import Fraction

from clipfold.demo.encode import Take

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)


@dataclass(frozen=True, slots=True)
class Place:
    """A source of videos.

    Args:
        name: part of the file names.
        size: width and height in pixels, as displayed.
        takes: formats of its two recordings.
        turns: clockwise quarter turns of the stored frames.
    """

    name: str
    size: tuple[int, int]
    takes: tuple[Take, Take]
    turns: int = 0


# A name with a space, one with an accent, tall frames, rotated storage, fractional frame rates: cases that break
# pipelines tested on tidy data only.
PLACES = (
    Place("harbour", (176, 144), (Take("h264", ".mp4", Fraction(25), 60), Take("vp9", ".webm", Fraction(15), 45))),
    Place("main street", (160, 120), (Take("h264", ".mp4", NTSC, 63), Take("mpeg4", ".avi", Fraction(20), 56))),
    Place("café", (192, 108), (Take("hevc", ".mp4", Fraction(24), 54), Take("h264", ".mkv", Fraction(12), 42))),
    Place("station", (240, 180), (Take("av1", ".mkv", Fraction(12), 36), Take("mpeg4", ".avi", Fraction(25), 52))),
    Place("corridor", (112, 200), (Take("h264", ".mp4", Fraction(30), 60), Take("vp9", ".webm", FILM, 50))),
    Place("car park", (128, 96), (Take("mpeg4", ".avi", Fraction(15), 60), Take("av1", ".webm", Fraction(25), 50))),
    Place("balcony", (120, 160), (Take("h264", ".mp4", NTSC, 62), Take("hevc", ".mp4", Fraction(24), 48)), turns=1),
    Place("bridge", (320, 180), (Take("vp9", ".webm", Fraction(12), 30), Take("h264", ".mkv", Fraction(20), 40))),
    Place("garden", (144, 144), (Take("av1", ".mkv", Fraction(20), 44), Take("h264", ".mp4", Fraction(25), 54))),
    Place("market", (208, 160), (Take("mpeg4", ".mp4", Fraction(24), 50), Take("hevc", ".mkv", Fraction(15), 40))),
    Place("ferry", (256, 144), (Take("vp9", ".webm", NTSC, 60), Take("mpeg4", ".avi", Fraction(12), 36))),
    Place("stadium", (320, 240), (Take("h264", ".mkv", Fraction(15), 32), Take("av1", ".mkv", Fraction(12), 27))),
)
