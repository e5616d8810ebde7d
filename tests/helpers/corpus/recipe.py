"""Recipes of the corpus: a file, its maker and the expected statuses."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.corpus.movies import FRAMES, Make


@dataclass(frozen=True)
class Recipe:
    file: str
    expected: str
    make: Make
    why: str
    frames: int | None = None
    name: str = ""


def ok(file: str, make: Make, why: str, frames: int = FRAMES, name: str = "") -> Recipe:
    return Recipe(file, "ok", make, why, frames, name)
