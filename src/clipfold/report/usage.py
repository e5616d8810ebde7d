"""What the run cost: time, memory and an estimate of the energy, by stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from clipfold.resources.usage import WATTS_PER_CORE, WATTS_PER_GPU
from clipfold.storage.files import PathLike


def stages(benchmarks: PathLike, gpu_seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Add up Snakemake's benchmark files by stage: the first folder, or the file's own name without one.

    Args:
        benchmarks: folder of `.tsv` files, at any depth; may be missing.
        gpu_seconds: stage -> seconds of graphics processors, for those that used any.

    Returns:
        Per stage `stage`, `jobs`, `seconds`, `cpu_seconds`, `memory_mb` (the largest of any job) and `energy_wh`, a
        rough figure from the time that cores and graphics processors worked; longest first. What was not measured is
        NaN.
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
    jobs = pd.concat(parts).astype({"s": float, "cpu_time": float, "max_rss": float}).groupby("stage")
    rows = [
        {
            "stage": stage,
            "jobs": len(table),
            "seconds": table["s"].sum(min_count=1),
            "cpu_seconds": table["cpu_time"].sum(min_count=1),
            "memory_mb": table["max_rss"].max(),
            "energy_wh": _energy(table["cpu_time"].sum(min_count=1), gpu_seconds.get(str(stage), 0.0)),
        }
        for stage, table in jobs
    ]
    return sorted(rows, key=lambda row: row["seconds"], reverse=True)


def total(stages: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """All stages as one: sums, and the largest memory of any job; NaN where nothing was measured."""
    table = pd.DataFrame(stages, columns=["seconds", "cpu_seconds", "memory_mb", "energy_wh"], dtype=float)
    return {str(name): table[name].max() if name == "memory_mb" else table[name].sum(min_count=1) for name in table}


def _energy(cpu_seconds: float, gpu_seconds: float) -> float:
    return (cpu_seconds * WATTS_PER_CORE + gpu_seconds * WATTS_PER_GPU) / 3600
