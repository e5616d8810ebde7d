"""What models looked at, as the page shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipfold.report.videos import embedded
from clipfold.storage.files import PathLike, read_table


def read(explanations: Mapping[str, PathLike], models: Sequence[str]) -> dict[str, Any]:
    """Sort what was found by its kind.

    Args:
        explanations: model -> table of `explain.on_clips.SCHEMA` or `explain.on_features.SCHEMA`.
        models: in the order to show.

    Returns:
        `saliency`: model -> clips with their `strip`; `importance`: model -> features, the most important first.
    """
    saliency, importance = {}, {}
    for model in models:
        if model in explanations:
            table = read_table(explanations[model])
            rows = table.to_pylist()
            if "picture" in table.column_names:
                saliency[model] = [
                    row | {"strip": embedded(*(row[key] for key in ("picture", "frames", "width", "height")))}
                    for row in rows
                ]
            else:
                importance[model] = rows
    return {"saliency": saliency, "importance": importance}
