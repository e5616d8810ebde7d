"""Name the outputs of an evaluation, and make up facts about videos for it to read."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from clipfold.storage.files import write_table
from clipfold.video.probe import SCHEMA as PROBED

TABLES = ("predictions", "metrics", "comparison", "pairs", "choices", "calibration", "bins", "slices", "unlabelled")
FIGURES = ("roc", "precision_recall", "confusion", "reliability")
OUTPUTS = (*TABLES, "comparison_tex", "per_class_tex", *FIGURES, *(f"{name}_pdf" for name in FIGURES))


def write_facts(folder: Path, probed: list[dict[str, Any]]) -> dict[str, Any]:
    """Write metadata and features of videos; returns their paths as arguments of `EvaluationTask`."""
    write_table(folder / "metadata.parquet", [dict.fromkeys(PROBED.names) | row for row in probed], PROBED)
    measured = [{"id": row["id"], "brightness.mean": i / 3, "motion.speed_mean": 0.1} for i, row in enumerate(probed)]
    write_table(folder / "features.parquet", pa.Table.from_pylist(measured))
    return {"metadata": [folder / "metadata.parquet"], "features": [folder / "features.parquet"]}
