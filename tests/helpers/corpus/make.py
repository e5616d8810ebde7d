"""Make a corpus of bad, odd and hostile video files.

Everything is made with PyAV from seeded pictures; nothing is downloaded or committed. Cases that the FFmpeg behind PyAV
cannot make (for lack of an encoder or a muxer), or that need rights the tests lack (a device node), are left out and
named in `LEFT_OUT`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import av
from helpers.corpus.containers import containers, names
from helpers.corpus.damage import damage
from helpers.corpus.lies import lies
from helpers.corpus.no_videos import no_files, no_videos
from helpers.corpus.streams import pixels, times

LEFT_OUT: dict[str, str] = {}
"""The cases that the last `make_corpus` could not make here, with the reason."""


@dataclass(frozen=True)
class Case:
    """A file, or a path that is no file, and the expected result of probing it.

    Attributes:
        name: short unique name, usable as a test id.
        path: the path as a manifest would hold it, undecodable bytes surrogate-escaped (`os.fsencode` restores them).
        expected: the acceptable statuses: one, unless sound tools may differ.
        frames: number of frames from a full decode of the main video stream, if the case can be `ok`; None also if it
            depends on the encoder's version.
        why: the odd thing about the file.
    """

    name: str
    path: str
    expected: frozenset[str]
    frames: int | None
    why: str


def make_corpus(folder: Path) -> list[Case]:
    """Make the whole corpus in a folder.

    Args:
        folder: an existing, empty folder.

    Returns:
        The cases in a fixed order, except those that cannot be made here; `LEFT_OUT` names these.
    """
    os.environ.setdefault("SVT_LOG", "1")  # its banner bypasses FFmpeg's log and goes to stderr
    LEFT_OUT.clear()
    cases = []
    for recipe in [*no_files(), *no_videos(), *containers(), *damage(), *times(), *pixels(), *lies(), *names()]:
        path = folder / recipe.file
        name = recipe.name or recipe.file
        try:
            made = recipe.make(path)
            if isinstance(made, bytes):
                path.write_bytes(made)
        except (av.FFmpegError, av.codec.codec.UnknownCodecError, OSError) as error:
            LEFT_OUT[name] = f"{type(error).__name__}: {error}"
            continue
        cases.append(
            Case(
                name=name,
                path=made if isinstance(made, str) else str(path),
                expected=frozenset(recipe.expected.split()),
                frames=recipe.frames,
                why=recipe.why,
            )
        )
    return cases
