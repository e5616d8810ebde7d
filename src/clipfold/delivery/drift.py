"""Compare new videos with the training data: do their inputs, and the model's scores for them, look alike?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from clipfold.checks import require
from clipfold.delivery import stability
from clipfold.delivery.distance import PREFIX, Reference, levels, original, small
from clipfold.delivery.embedding import COLUMN, UNIT
from clipfold.delivery.inputs import INPUTS
from clipfold.evaluation.significance import holm
from clipfold.status import Status
from clipfold.storage.files import Array

PSI_LOOK, PSI_WORRY = 0.1, 0.25
"""Customary limits of the population stability index (Siddiqi 2006, Credit Risk Scorecards)."""
FAR_LOOK, FAR_WORRY = 0.1, 0.25
"""Shares of videos beyond distance 1; of the training videos it is 0.05."""
SIGNIFICANT = 0.01
"""Corrected p below which a difference counts. Who compares every week would be misled too often by 0.05."""
LEVELS = ("none", "look", "worry")
MOST_FARTHEST = 20
_BARS = 24
_NEGLIGIBLE = 0.2  # of `distance.small`: 1 grey level, 2 % of a size
_COARSE = 0.5  # least detectable difference of shares above which finding nothing says little
_MISSING = 0.1  # change of the share of missing values that matters whatever the known ones do


@dataclass(frozen=True)
class Item:
    """One input or score.

    Attributes:
        name: The input, or the class whose probability it is.
        kind: `input` or `score`.
        unit: Unit or meaning.
        training: Median of the training videos; NaN if all are missing.
        new: Median of the new videos.
        psi: Population stability index, without its bias for few videos; at least 0.
        ks: Two-sample Kolmogorov-Smirnov statistic, 0 to 1.
        p: Its p-value, corrected (Holm 1979) for all items and the share of far videos.
        level: `none`, `look` or `worry`.
        bars: Histograms of training and of new videos on one scale, as shares of all videos, known or not.
        ends: The values at both ends of the histograms; what lies beyond is in the outermost bars.
    """

    name: str
    kind: str
    unit: str
    training: float
    new: float
    psi: float
    ks: float
    p: float
    level: str
    bars: tuple[list[float], list[float]]
    ends: tuple[float, float]


@dataclass(frozen=True)
class Drift:
    """The comparison of new videos with the training data; see `drift`.

    Attributes:
        verdict: `none`, `look` or `worry`.
        reason: Why, in a sentence or two.
        items: Inputs and scores, those that moved most first.
        far: Share of new videos beyond distance 1.
        training_far: The same of the training videos.
        far_p: p-value of more far videos than in training, corrected like those of items.
        far_level: `none`, `look` or `worry`.
        labels: Per class, `label` and its shares: `training`, of given labels; `new`, of predicted ones.
        farthest: New videos with the largest distances: `id`, `label`, `distance`, and `unusual`, their inputs outside
            the middle 98 % of training: `name`, `value`, `low`, `high`.
        videos: New videos compared.
        groups: Independent ones among them.
        training_videos: Training videos compared with.
        training_groups: Their groups.
        grouped: Whether groups of new videos are known; if not, all are taken as independent.
        excluded: Status -> number of new videos that could not be predicted and are not compared.
        detectable: The least Kolmogorov-Smirnov statistic that would be significant for any item, at most 1.
    """

    verdict: str
    reason: str
    items: list[Item]
    far: float
    training_far: float
    far_p: float
    far_level: str
    labels: list[dict[str, Any]]
    farthest: list[dict[str, Any]]
    videos: int
    groups: int
    training_videos: int
    training_groups: int
    grouped: bool
    excluded: dict[str, int]
    detectable: float


def drift(reference: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> Drift:
    """Compare new videos with the training data.

    The verdict is the worst of these levels:

    - An input is `look` if it moved significantly (Kolmogorov-Smirnov, p < 0.01 after Holm's correction) and its
      population stability index is at least 0.1, `worry` from 0.25.
    - A score is at most `look`, from 0.1: scores move with the mix of classes, too, and the mean of several fold models
      is less extreme than the one fold model behind a training video's score.
    - The share of videos beyond distance 1 is `look` if it is significantly above that of training (Fisher's exact
      test, one-sided, in the same correction) and at least 0.1, `worry` from 0.25.

    So of 100 sets of videos like those of training, about one is not `none`. A move by less than a fifth of what
    `distance.small` calls small (29.97 for 30 frames per second) is none.

    Args:
        reference: Training videos: `id`, `group`, `label`, `distance`, `p_CLASS` and `input.NAME` columns, and
            `embedding_distance` if there is an encoder; it is compared like an input.
        predictions: New videos: `id`, `status`, `label`, `distance`, `p_CLASS` and `input.NAME` columns, and `group`
            and `embedding_distance` if known. Those with a status other than `ok` are counted, not compared.
        classes: Class names; of two, only the second's score is compared, as the first's mirrors it.

    Raises:
        ValueError: A column is missing, or there is nothing to compare.
    """
    scores = [f"p_{name}" for name in (classes[1:] if len(classes) == 2 else classes)]
    for name, table, more in (("reference", reference, "group"), ("predictions", predictions, "status")):
        for column in ("id", "label", "distance", more, *scores):
            require(column in table, f"{name}: columns", list(table), f"add {column!r}")
    usable = predictions["status"] == Status.OK
    require(bool(usable.any()), "predictions: videos with status ok", 0, "give some that could be predicted")
    old, new = _in_order(reference), _in_order(predictions[usable])
    draws = stability.draw(old["group"].tolist(), new["group"].tolist())
    inputs = [name for name in map(str, reference) if name.startswith(PREFIX)]
    columns = [*inputs, *([COLUMN] if COLUMN in reference and COLUMN in predictions else []), *scores]
    moves = [stability.compare(_levels(old, c), _levels(new, c), draws, _NEGLIGIBLE * _small(c)) for c in columns]
    far_old, far_new = (_numbers(side, "distance") > 1 for side in (old, new))
    corrected = holm(np.array([*(move.p for move in moves), stability.more(far_old, far_new, draws)]))
    items = [_item(c, m._replace(p=float(p)), old, new) for c, m, p in zip(columns, moves, corrected[:-1], strict=True)]
    items.sort(key=lambda item: (-LEVELS.index(item.level), -item.ks))
    far, far_p = float(far_new.mean()), float(corrected[-1])
    far_level = _level(far, FAR_LOOK, FAR_WORRY) if far_p < SIGNIFICANT else "none"
    verdict = max((far_level, *(item.level for item in items)), key=LEVELS.index)
    training_groups, groups = map(len, draws[0])
    level = SIGNIFICANT / len(corrected) / (2 if len(draws) > 1 else 1)
    detectable = stability.detectable(training_groups, groups, level)
    return Drift(
        verdict=verdict,
        reason=_reason(items, far, far_level, groups, training_groups, detectable),
        items=items,
        far=far,
        training_far=float(far_old.mean()),
        far_p=far_p,
        far_level=far_level,
        labels=[
            {
                "label": name,
                "training": float((old["label"] == name).mean()),
                "new": float((new["label"] == name).mean()),
            }
            for name in classes
        ],
        farthest=_farthest(old, new),
        videos=len(new),
        groups=groups,
        training_videos=len(old),
        training_groups=training_groups,
        grouped="group" in predictions,
        excluded={str(name): int(n) for name, n in predictions["status"][~usable].value_counts().sort_index().items()},
        detectable=detectable,
    )


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort by group and id, so that nothing depends on the order of rows; a video without group is its own."""
    groups = table["group"].fillna("").astype(str) if "group" in table else pd.Series("", table.index)
    own = groups.where(groups != "", "\0" + table["id"].astype(str))
    return table.assign(group=own).sort_values(["group", "id"], ignore_index=True)


def _numbers(table: pd.DataFrame, column: str) -> Array:
    """Return a column as float64; NaN where it has no finite number, or if the table lacks it."""
    if column not in table:
        return np.full(len(table), np.nan)
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _levels(table: pd.DataFrame, column: str) -> Array:
    return levels(column.removeprefix(PREFIX), _numbers(table, column))


def _small(column: str) -> float:
    return small(column.removeprefix(PREFIX)) if column.startswith(PREFIX) else 0.05


def _level(value: float, look: float, worry: float) -> str:
    return LEVELS[int(value >= look) + int(value >= worry)]


def _item(column: str, move: stability.Move, old: pd.DataFrame, new: pd.DataFrame) -> Item:
    is_input = not column.startswith("p_")
    name = column.removeprefix(PREFIX) if is_input else column.removeprefix("p_")
    matters = move.distance >= _NEGLIGIBLE * _small(column) or abs(move.missing) >= _MISSING
    level = (
        _level(move.psi, PSI_LOOK, PSI_WORRY if is_input else np.inf) if move.p < SIGNIFICANT and matters else "none"
    )
    bars, ends = _bars(name, _levels(old, column), _levels(new, column))
    first, second = (_numbers(side, column) for side in (old, new))
    return Item(
        name=name,
        kind="input" if is_input else "score",
        unit={**INPUTS, COLUMN: UNIT}.get(name, "") if is_input else "probability",
        training=_median(first),
        new=_median(second),
        psi=move.psi,
        ks=move.ks,
        p=move.p,
        level=level,
        bars=bars,
        ends=ends,
    )


def _median(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan


def _bars(name: str, training: Array, new: Array) -> tuple[tuple[list[float], list[float]], tuple[float, float]]:
    """Count both sides in equal steps, on the scale of `levels`, from the first to the 99th percentile of either."""
    known = [side[~np.isnan(side)] for side in (training, new)]
    limits = [np.percentile(side, (1, 99)) for side in known if len(side)]
    low, high = (float(np.min(limits)), float(np.max(limits))) if limits else (0.0, 0.0)
    if high == low:
        low, high = low - small(name), high + small(name)
    counts = [np.histogram(np.clip(side, low, high), _BARS, (low, high))[0] for side in known]
    shares = [(count / len(side)).tolist() for count, side in zip(counts, (training, new), strict=True)]
    return (shares[0], shares[1]), (original(name, low), original(name, high))


def _farthest(old: pd.DataFrame, new: pd.DataFrame) -> list[dict[str, Any]]:
    reference = Reference(
        {name: old[name].tolist() for name in map(str, old) if name == "group" or name.startswith(PREFIX)}
    )
    values = {name: _numbers(new, PREFIX + name) for name in reference.names}
    distances = _numbers(new, "distance")
    far = sorted(np.flatnonzero(~np.isnan(distances)).tolist(), key=lambda i: (-distances[i], new["id"][i]))
    farthest = []
    for i in far[:MOST_FARTHEST]:
        inputs = {name: float(value[i]) for name, value in values.items()}
        unusual = [
            dict(zip(("name", "value", "low", "high"), (name, inputs[name], *reference.ranges[name]), strict=True))
            for name in reference.unusual(inputs)
        ]
        row = {"id": new["id"][i], "label": new["label"][i], "distance": float(distances[i]), "unusual": unusual}
        farthest.append(row)
    return farthest


def _reason(
    items: Sequence[Item], far: float, far_level: str, groups: int, training_groups: int, detectable: float
) -> str:
    """Say in words what the verdict follows from."""
    inputs = {
        level: [item.name for item in items if (item.kind, item.level) == ("input", level)] for level in LEVELS[1:]
    }
    scores = [f"the probability of {item.name}" for item in items if (item.kind, item.level) == ("score", "look")]
    told = []
    if inputs["worry"]:
        told.append(f"{_listed(inputs['worry'])} differ{_s(inputs['worry'])} clearly from the training data")
    if far_level != "none":
        told.append(f"{100 * far:.0f} % of the videos are farther from the training data than 95 % of its own are")
    if inputs["look"] and not inputs["worry"]:
        told.append(f"{_listed(inputs['look'])} differ{_s(inputs['look'])} a little from the training data")
    if scores and not inputs["worry"]:
        told.append(f"{_listed(scores)} {'is' if len(scores) == 1 else 'are'} distributed otherwise than in training")
    if told:
        sentence = "; ".join(told)
        return f"{sentence[0].upper()}{sentence[1:]}."
    few = f" But {_videos(groups)} and {_videos(training_groups)} of training would show only a large difference."
    return f"No input and no score differs by more than chance or trifles explain.{few * (detectable > _COARSE)}"


def _videos(count: int) -> str:
    return f"{count:,} independent video{'s' * (count != 1)}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _s(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""
