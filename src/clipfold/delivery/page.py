"""Write the page of predictions: what was predicted, what could not be, and the external test if labels are given."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from clipfold.delivery.external import External
from clipfold.evaluation.tables import NAMES
from clipfold.report.render import render
from clipfold.report.scores import records
from clipfold.storage.files import PathLike
from clipfold.storage.replace import replacing

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

SHOWN = 1000
"""Most rows of each table; the table of predictions has all."""

_ORDER = (
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "eer",
    "log_loss",
    "brier",
    "ece",
)


def external_facts(bundle: "OpenBundle", external: External | None) -> dict[str, Any] | None:
    """Return what `external.html`, a part of this page and of the report, says of an external test; plain values."""
    if external is None:
        return None
    facts = {"bundle": bundle.name, "classes": bundle.ordered, "threshold": bundle.description["threshold"]}
    return asdict(external) | facts | {"metrics": _metrics(bundle, external), "page": None}


def write_page(bundle: "OpenBundle", table: pd.DataFrame, external: External | None, output: PathLike) -> None:
    """Write the page as one file that needs no other file and no network.

    Args:
        bundle: The bundle that predicted.
        table: Predictions, see `clipfold.delivery.predict.predict_videos`.
        external: The external test; None without labels.
        output: HTML file to write.
    """
    used, rejected = table[table.status == "ok"], table[table.status != "ok"]
    facts = {
        "bundle": {**bundle.description, "id": bundle.id},
        "classes": bundle.ordered,
        "profile": str(bundle.profile) if bundle.profile.changes else "",
        "total": len(table),
        "predicted": len(used),
        "labels": [(name, int((used.label == name).sum())) for name in bundle.classes],
        "unknown": int((used.reason != "").sum()),
        "far": int((used.distance > 1).sum()),
        "seen": int(used.seen.sum()),
        "shown": SHOWN,
        "rows": [_row(row, bundle.classes) for row in records(used.head(SHOWN))],
        "rejected": records(rejected[["id", "status", "reason"]].head(SHOWN)),
        "statuses": Counter(rejected.status).most_common(),
        "external": external_facts(bundle, external),
        "names": NAMES,
    }
    with replacing(output) as file:
        file.write(render(facts, Path(__file__).parent / "predictions.html", bundle.noun).encode())


def _row(row: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    kept = {name: row[name] for name in ("id", "label", "spread", "distance")}
    return kept | {"probability": row[f"p_{row['label']}"] if row["label"] in classes else float("nan")}


def _metrics(bundle: "OpenBundle", external: External) -> list[dict[str, Any]]:
    """List the metrics of the external test beside those that the folds gave, for classes as the bundle names them."""
    decisions = ("", "argmax" if bundle.description["threshold"] is None else "val")
    found = {row["metric"]: row for row in external.metrics if not row["class"] and row["decision"] in decisions}
    before = {row["metric"]: row for row in bundle.description["metrics"] if row["decision"] in decisions}
    nothing = dict.fromkeys(("value", "low", "high"))
    return [
        {"metric": name, "new": _numbers(found[name]), "folds": _numbers(before.get(name, nothing))}
        for name in _ORDER
        if name in found
    ]


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {name: float("nan") if row[name] is None else row[name] for name in ("value", "low", "high")}
