"""Name the folders of a run, once. Standard library only.

Rules write paths as literals; a test holds them to these names. Code that searches the results
of a run from outside (the integrity check, `make clean`) uses this list.
"""

from typing import NamedTuple


class Folder(NamedTuple):
    """A folder below `results`.

    Args:
        name: Name of the folder.
        checked: Whether truncated outputs in it are removed before a run is planned.
    """

    name: str
    checked: bool = True


RESULTS = (
    Folder("metadata"),
    Folder("contents"),
    Folder("frames"),
    Folder("augmented"),
    Folder("resized"),
    Folder("embedded"),
    Folder("features"),
    Folder("hashes"),
    Folder("splits"),
    Folder("collections"),
    Folder("models"),
    Folder("explanations"),
    Folder("evaluation"),
    Folder("report"),
    Folder("training", checked=False),  # checkpoints and traces, which check themselves
    Folder("benchmarks", checked=False),  # Snakemake's own records
)

LOGS = "logs"
ESTIMATES = "results/resources.json"
"""Largest resource request of each rule."""
