"""What the run cost: time, memory and an estimate of the energy, by stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from clipfold.store import PathLike

CORE_WATTS = 12.0
"""Of a core at full load, whatever the processor (Lannelongue et al. 2021, "Green Algorithms")."""
MEMORY_WATTS_PER_GB = 0.3725
"""The same source."""


def stages(benchmarks: PathLike) -> list[dict[str, Any]]:
    """Add up Snakemake's benchmark files by stage: the first folder, or the file's own name without one.

    Energy is estimated after Green Algorithms, from the time that cores worked and the memory held; graphics processors
    and cooling are not in it.

    Args:
        benchmarks: folder of `.tsv` files, at any depth; may be missing.

    Returns:
        Per stage `stage`, `jobs`, `seconds`, `cpu_seconds`, `memory_mb` (the largest of any job) and `energy_wh`,
        longest first. What was not measured is NaN.
    """
    root = Path(benchmarks)
    parts = []
    for path in sorted(root.rglob("*.tsv")):
        stage = path.relative_to(root).parts[0].removesuffix(".tsv")
        if stage != "report" and path.stat().st_size:  # this page cannot know its own; one there is of an older run
            table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
            parts.append(table.reindex(columns=["s", "cpu_time", "max_rss"]).assign(stage=stage))
    if not parts:
        return []
    jobs = pd.concat(parts).astype({"s": float, "cpu_time": float, "max_rss": float})
    joules = jobs["cpu_time"] * CORE_WATTS + jobs["s"] * jobs["max_rss"] / 1024 * MEMORY_WATTS_PER_GB
    rows = [
        {
            "stage": stage,
            "jobs": len(table),
            "seconds": table["s"].sum(min_count=1),
            "cpu_seconds": table["cpu_time"].sum(min_count=1),
            "memory_mb": table["max_rss"].max(),
            "energy_wh": table["joules"].sum(min_count=1) / 3600,
        }
        for stage, table in jobs.assign(joules=joules).groupby("stage")
    ]
    return sorted(rows, key=lambda row: row["seconds"], reverse=True)


def total(stages: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """All stages as one: sums, and the largest memory of any job; NaN where nothing was measured."""
    table = pd.DataFrame(stages, columns=["seconds", "cpu_seconds", "memory_mb", "energy_wh"], dtype=float)
    return {str(name): table[name].max() if name == "memory_mb" else table[name].sum(min_count=1) for name in table}
