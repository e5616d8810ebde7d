"""Prepare single videos for the report: a table of all videos, and a gallery of errors."""

import base64
from collections.abc import Collection, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd

from clipfold.clips.filmstrip import FRAMES, content, encode_filmstrip
from clipfold.clips.reader import Clips
from clipfold.config import WHOLE_VIEW
from clipfold.evaluation.errors import add_outcome, confident_errors
from clipfold.storage.files import Array, PathLike, open_array, read_table

PER_MODEL = 6
_MARKED = (255, 210, 0)  # RGB of a region's edge
MOST = 60
MOST_LISTED = 20_000
"""Videos in the table of all: more would make a page that no browser opens."""


def mean_over_repeats(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Average predictions over repeats; returns one row per model and video, with `errors.add_outcome`."""
    columns = [f"p_{name}" for name in classes]
    if predictions["repeat"].min() == predictions["repeat"].max():  # nothing to average among millions of rows
        return add_outcome(predictions[["model", "id", "label", "group", "fold", *columns]], classes)
    means = predictions.groupby(["model", "id"], sort=False)[columns].mean()
    facts = predictions.drop_duplicates(["model", "id"]).set_index(["model", "id"])[["label", "group", "fold"]]
    return add_outcome(facts.join(means).reset_index(), classes)


def table(predictions: pd.DataFrame, models: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Encode all videos compactly, for thousands of them: names as indices, probabilities in thousandths.

    Of more than `MOST_LISTED`, those are kept of whose class the models say the least.

    Args:
        predictions: Result of `mean_over_repeats`.
        models: Names of the models in display order.
        classes: Sorted class names.

    Returns:
        `models`, `classes`, `groups`; `all`, the number of videos; per video, sorted by id, `ids`, `label`, `group`,
        `fold`; and per model and video the class `predicted` and the probability of the label (`own`).
    """
    wide = predictions.pivot_table(index="id", columns="model", values="own", sort=True)[list(models)]
    number = len(wide)
    if number > MOST_LISTED:
        worst = np.argsort(wide.to_numpy(float).mean(axis=1), kind="stable")[:MOST_LISTED]
        wide = wide.iloc[np.sort(worst)]
        predictions = predictions[predictions.id.isin(wide.index)]
    first = predictions.drop_duplicates("id").set_index("id").loc[wide.index]
    index = {name: i for i, name in enumerate(classes)}
    called = predictions.assign(called=predictions.predicted.map(index)).set_index(["model", "id"])["called"]
    names, group = np.unique(first["group"].to_numpy(str), return_inverse=True)
    return {
        "models": list(models),
        "classes": list(classes),
        "all": number,
        "groups": names.tolist(),
        "ids": wide.index.tolist(),
        "label": first.label.map(index).tolist(),
        "group": group.tolist(),
        "fold": first.fold.tolist(),
        "predicted": [called[model].loc[wide.index].tolist() for model in models],
        "own": [(1000 * wide[model]).round().astype(int).tolist() for model in models],
    }


def gallery(
    predictions: pd.DataFrame,
    models: Sequence[str],
    clips: Sequence[PathLike],
    index: Sequence[PathLike],
    whole: Sequence[PathLike] = (),
) -> list[dict[str, Any]]:
    """Collect the most confident errors of every model, each video once, sorted by the number of models that fail.

    Args:
        predictions: Result of `mean_over_repeats`.
        models: Names of the models in display order.
        clips: Arrays of stored clips.
        index: Index tables of `clips`.
        whole: Arrays of the same clips as whole frames, where `clips` show a region; none otherwise.

    Returns:
        At most `MOST` videos: `id`, `label`, `group`, `fold`; `models`, those with the video among their most confident
        errors; `scores`, with `model`, `own`, `predicted`, `wrong` of each model; the clip's `filmstrip`, see
        `filmstrip`, None without clips; and `region`, a whole frame with the region marked, None without one.
    """
    mine = {model: confident_errors(predictions[predictions.model == model], PER_MODEL) for model in models}
    chosen = sorted({video for errors in mine.values() for video in errors.id})
    shown = predictions[predictions.id.isin(chosen) & predictions.model.isin(models)]
    order = shown.groupby("id").agg(wrong=("wrong", "sum"), own=("own", "mean"))
    best_first = order.sort_values(["wrong", "own"], ascending=[False, True]).index[:MOST]
    by_video = {video: rows.set_index("model").loc[list(models)] for video, rows in shown.groupby("id")}
    stored = stored_clips(clips, index) if clips else None
    regions = _regions(whole, index, set(best_first))
    cards = []
    for video in best_first:
        rows = by_video[video].reset_index()
        facts = rows.iloc[0]
        cards.append(
            {"id": video, "label": facts.label, "group": facts["group"], "fold": int(facts.fold)}
            | {"models": [model for model in models if video in set(mine[model].id)]}
            | {"scores": rows[["model", "own", "predicted", "wrong"]].to_dict("records")}
            | {"region": regions.get(video)}
            | {"filmstrip": stored and filmstrip(content(stored.gather([video])[0], stored.boxes([video])[0]))}
        )
    return cards


def _regions(whole: Sequence[PathLike], index: Sequence[PathLike], ids: Collection[str]) -> dict[str, Any]:
    """Mark the region of some videos' clips in a whole frame, the middle one; those without a region are left out."""
    found = {}
    for path, table in zip(whole, index, strict=False):
        for row in read_table(table, ["id", "row", f"{WHOLE_VIEW}_box", "clips_region"]).to_pylist():
            if row["id"] in ids and row["clips_region"]:
                frames = open_array(path)[row["row"]]
                middle = len(frames) // 2
                (frame,) = content(frames[middle : middle + 1], np.array(row[f"{WHOLE_VIEW}_box"])).copy()
                edges = np.array(row["clips_region"]) * (*frame.shape[:2], *frame.shape[:2])
                top, left, height, width = edges.round().astype(int).tolist()
                cv2.rectangle(frame, (left, top), (left + width - 1, top + height - 1), _MARKED, 1)
                found[row["id"]] = filmstrip(frame[None])
    return found


def stored_clips(clips: Sequence[PathLike], index: Sequence[PathLike]) -> Clips:
    """Open the stored clips, without augmented copies, at the number of frames of a filmstrip."""
    files = {"clips": clips, "index": index, "augmented": (), "augmented_index": ()}
    _, frames, size, *_ = open_array(clips[0]).shape
    return Clips(files, min(frames, FRAMES), stored_size=size, size=size)


def filmstrip(frames: Array) -> dict[str, Any]:
    """Encode frames as a filmstrip for the page.

    Args:
        frames: RGB frames, uint8 of (frames, height, width, 3).

    Returns:
        `data`, the picture as a data URL; `frames`, their number; `width` and `height` of a frame in pixels.
    """
    return embed(encode_filmstrip(frames), len(frames), frames.shape[2], frames.shape[1])


def embed(picture: bytes, frames: int, width: int, height: int) -> dict[str, Any]:
    """Embed an encoded filmstrip in the page; returns the same form as `filmstrip`."""
    data = "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")
    return {"data": data, "frames": frames, "width": width, "height": height}
