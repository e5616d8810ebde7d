"""The formats of tables that predictions are written in. Standard library only."""

from pathlib import Path

from clipfold.checks import require

SUFFIXES = (".parquet", ".csv", ".jsonl")


def check_output(output: Path) -> None:
    """Check the name of a table to write.

    Raises:
        ValueError: Its suffix is none of `SUFFIXES`.
    """
    require(output.suffix in SUFFIXES, "output", str(output), f"use a name that ends in {', '.join(SUFFIXES)}")
