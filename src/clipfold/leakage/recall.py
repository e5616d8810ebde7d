"""Read which share of near duplicates made on purpose the search finds, as measured by `benchmarks/leakage.py`."""

from pathlib import Path
from typing import Any

from clipfold.storage.files import read_json

MEASURED = Path(__file__).parent / "recall.json"
"""Figures of the benchmark; `command` says how to make them again."""


def measured_recall() -> dict[str, Any]:
    """Return the figures: `command`, `data`, `guessed` and counts of `pairs` and how many were `found`.

    Counts are in `kinds` (of changes), `same_source` (videos cut from one recording), `unrelated` and, where they were
    measured, `the same title` and `the same logo` (unrelated videos that have one in common). `guessed` tells what
    became of folds without groups.
    """
    figures: dict[str, Any] = read_json(MEASURED)
    return figures
