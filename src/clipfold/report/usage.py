"""Summarise the resource usage of the run by stage: time, memory and estimated energy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from clipfold.resources.usage import WATTS_PER_CORE, WATTS_PER_GPU
from clipfold.storage.files import PathLike


def stages(benchmarks: PathLike, gpu_seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Add up Snakemake's benchmark files by stage, named after the top-level folder or file.

    Args:
        benchmarks: Folder of `.tsv` files, at any depth; may be missing.
        gpu_seconds: Stage -> GPU seconds, for stages that used a GPU.

    Returns:
        Per stage, longest first: `stage`, `jobs`, `seconds`, `cpu_seconds`, `memory_mb` (maximum over jobs) and
        `energy_wh`, a rough estimate from busy CPU and GPU time. Values that were not measured are NaN.
    """
    root = Path(benchmarks)
    tables = []
    for path in sorted(root.rglob("*.tsv")):
        stage = path.relative_to(root).parts[0].removesuffix(".tsv")
        if (
            stage != "report" and path.stat().st_size
        ):  # the report cannot know its own usage; a file is from an older run
            table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
            tables.append(table.reindex(columns=["s", "cpu_time", "max_rss"]).assign(stage=stage))
    if not tables:
        return []
    jobs = pd.concat(tables).astype({"s": float, "cpu_time": float, "max_rss": float}).groupby("stage")
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
    """Add up all stages: sums, and the maximum memory of any job; NaN if nothing was measured."""
    table = pd.DataFrame(stages, columns=["seconds", "cpu_seconds", "memory_mb", "energy_wh"], dtype=float)
    return {str(name): table[name].max() if name == "memory_mb" else table[name].sum(min_count=1) for name in table}


def _energy(cpu_seconds: float, gpu_seconds: float) -> float:
    return (cpu_seconds * WATTS_PER_CORE + gpu_seconds * WATTS_PER_GPU) / 3600
