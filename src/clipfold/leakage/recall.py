"""What the search for near duplicates finds of those made on purpose, as measured by `benchmarks/leakage.py`."""

from pathlib import Path
from typing import Any

from clipfold.storage.files import read_json

MEASURED = Path(__file__).parent / "recall.json"
"""Figures of the benchmark; `command` says how to make them again."""


def measured_recall() -> dict[str, Any]:
    """Return the figures: `command`, `data`, `kinds` (name -> `copies`, `found`), `unrelated`, `titles` and `same_source`.

    The last three count `pairs` and how many were `found`: pairs of unrelated videos, of unrelated videos with the same
    title, and of videos cut from one recording.
    """
    figures: dict[str, Any] = read_json(MEASURED)
    return figures
