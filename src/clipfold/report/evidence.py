"""Prepare the explanations of the models for the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipfold.report.videos import embed
from clipfold.storage.files import PathLike, read_table


def worth_showing(comparison: Sequence[Mapping[str, Any]], chance: float) -> list[str]:
    """List the models shown to be above chance and above every shortcut: of others, evidence says nothing.

    Args:
        comparison: Result of `scores.comparison`.
        chance: The headline of a model that knows nothing.
    """
    rivals = [row for row in comparison if not row["shortcut"] and row["low"] > chance]
    return [row["model"] for row in rivals if not row["best_shortcut"] or row["over_shortcut_low"] > 0]


def read(explanations: Mapping[str, PathLike], models: Sequence[str]) -> dict[str, Any]:
    """Read the explanations, separated by kind.

    Args:
        explanations: Model name -> table with schema `explain.on_clips.SCHEMA` or `explain.on_features.SCHEMA`.
        models: Names of the models in display order.

    Returns:
        `saliency`: model -> clips with their `filmstrip`; `importance`: model -> features, most important first.
    """
    saliency, importance = {}, {}
    for model in models:
        if model in explanations:
            table = read_table(explanations[model])
            rows = table.to_pylist()
            if "picture" in table.column_names:
                saliency[model] = [
                    row | {"filmstrip": embed(*(row[key] for key in ("picture", "frames", "width", "height")))}
                    for row in rows
                ]
            else:
                importance[model] = rows
    return {"saliency": saliency, "importance": importance}
