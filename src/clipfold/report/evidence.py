"""Prepare the explanations of the models for the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipfold.report.videos import embed
from clipfold.storage.files import PathLike, read_table


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
