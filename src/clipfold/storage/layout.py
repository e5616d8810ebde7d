"""Name the folders of a run, once. Standard library only.

Rules write paths as literals; a test holds them to these names. Code that searches the results
of a run from outside (`make clean`) uses this list.
"""

RESULTS = (
    "plan",
    "metadata",
    "contents",
    "frames",
    "augmented",
    "resized",
    "embedded",
    "features",
    "hashes",
    "splits",
    "collections",
    "models",
    "explanations",
    "evaluation",
    "report",
    "bundles",
    "predictions",
    "training",
    "benchmarks",
)
"""Folders below `results`."""

LOGS = "logs"
LEDGER = "results/ledger.json"
"""The models ever scored on test videos; kept when results are removed."""
ESTIMATES = "results/resources.json"
"""Largest resource request of each rule."""
