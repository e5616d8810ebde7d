"""Each model against each other on the metric that ranks them: by how much, and whether it could be luck."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from clipfold.evaluation import metrics
from clipfold.evaluation.intervals import degrees_of_freedom, difference, interval_of, standard_error
from clipfold.evaluation.measure import Key, Measured
from clipfold.evaluation.pooling import Pooled
from clipfold.evaluation.significance import (
    LEVEL,
    corrected_resampled_t,
    delong,
    delong_p,
    holm,
    mcnemar,
    placements,
    sign_flip,
)
from clipfold.storage.files import Array

COMPARISON = pa.schema(
    {
        "model": pa.string(),
        "metric": pa.string(),  # `roc_auc` for two classes, `balanced_accuracy` for more
        "value": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "difference": pa.float64(),  # to the best model; above 0 only for baselines
        "difference_low": pa.float64(),
        "difference_high": pa.float64(),
        "p_holm": pa.float64(),  # of the pair with the best model, from `PAIRS`; NaN for the best
        "tied": pa.bool_(),  # it cannot be told from the best: `p_holm` is not below 0.05
        "shortcut": pa.bool_(),  # it is a baseline: after all models, never best, never tied, not in `PAIRS`
        "better_shortcut": pa.string(),  # the better of the baselines; "" without any, and for the baselines
        "over_shortcut": pa.float64(),  # how much the model is better than that
        "over_shortcut_low": pa.float64(),
        "over_shortcut_high": pa.float64(),
        "leakage": pa.string(),  # which leaks were allowed, `mark` of audit.json; "" without
    }
)
PAIRS = pa.schema(
    {
        "model": pa.string(),  # the better of the two
        "other": pa.string(),
        "metric": pa.string(),
        "difference": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "p_bootstrap": pa.float64(),  # bootstrap over groups
        "p_holm": pa.float64(),  # the same, corrected for the number of pairs
        "p_delong": pa.float64(),  # videos taken for independent; NaN for more than two classes
        "p_folds": pa.float64(),  # corrected resampled t over folds
        "accuracy_difference": pa.float64(),
        "p_sign_flip": pa.float64(),  # of equal accuracy, by groups
        "p_mcnemar": pa.float64(),  # of equal accuracy, videos taken for independent
        "leakage": pa.string(),
    }
)


def compare(
    measured: Mapping[str, Measured], ratio: float, seed: int, shortcuts: Sequence[str] = ()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare all pairs of models, and each model with the better of the baselines.

    Holm's correction is for all pairs, not for those with the best alone. The best is found on the same videos, as the
    luckiest of several: of twelve equal models it would else leave some behind in one run of nine.

    Args:
        measured: model -> its metrics; all on the same videos and draws.
        ratio: videos of a test part per video of its training part.
        seed: of the signs.
        shortcuts: those of them that are baselines; at least one is none.

    Returns:
        Rows of `COMPARISON`, best first (equally good models by name), then the baselines, and rows of `PAIRS` in the
        same order, without the baselines; without `leakage`.
    """
    first = next(iter(measured.values())).pooled
    metric, groups = metrics.headline(first.probabilities.shape[1]), int(first.groups.max()) + 1
    key = ("", "" if metric == "roc_auc" else "argmax", metric)
    value = {model: own.values[key] for model, own in measured.items()}
    order = sorted(measured, key=lambda model: (model in shortcuts, -np.nan_to_num(value[model], nan=-np.inf), model))
    baselines = [model for model in order if model in shortcuts]
    degrees = degrees_of_freedom(first.targets, first.groups)
    pairs = _pairs({model: measured[model] for model in order if model not in shortcuts}, key, degrees, ratio, seed)
    with_best = {row["other"]: row for row in pairs if row["model"] == order[0]}

    def apart(model: str, other: str) -> tuple[float, float, float]:
        error = standard_error(measured[model].resamples[key] - measured[other].resamples[key], groups)
        by = value[model] - value[other]
        return (by, *difference(by, error, degrees)[:2])

    rows = []
    for model in order:
        draws = measured[model].resamples[key]
        low, high = interval_of(metric, value[model], draws, groups, degrees, first.probabilities.shape[1])
        to_best: Sequence[float] = (0.0, 0.0, 0.0)
        p_holm, tied = np.nan, model == order[0]
        if pair := with_best.get(model):
            to_best = -pair["difference"], -pair["high"], -pair["low"]
            p_holm, tied = pair["p_holm"], pair["p_holm"] >= LEVEL
        elif model in baselines:
            to_best = apart(model, order[0])
        over = apart(model, baselines[0]) if baselines and model not in baselines else (np.nan,) * 3
        rows.append(
            {"model": model, "metric": metric, "value": value[model], "low": low, "high": high}
            | dict(zip(("difference", "difference_low", "difference_high"), to_best, strict=True))
            | {"p_holm": p_holm, "tied": tied, "shortcut": model in baselines}
            | {"better_shortcut": baselines[0] if baselines and model not in baselines else ""}
            | dict(zip(("over_shortcut", "over_shortcut_low", "over_shortcut_high"), over, strict=True))
        )
    return rows, pairs


def _pairs(measured: Mapping[str, Measured], key: Key, degrees: float, ratio: float, seed: int) -> list[dict[str, Any]]:
    models, pooled = list(measured), [own.pooled for own in measured.values()]
    couples = list(combinations(range(len(models)), 2))
    if not couples:
        return []
    right = np.concatenate([_by_video(each, (each.predicted == each.targets)[None]) for each in pooled])
    by_group = np.zeros((int(pooled[0].groups.max()) + 1, len(models)))
    np.add.at(by_group, _first_of_each(pooled[0], pooled[0].groups), right.T)
    flipped, _ = sign_flip(np.column_stack([by_group[:, a] - by_group[:, b] for a, b in couples]), seed)
    aucs, covariance = _delong(pooled)
    rows = []
    for (a, b), p_sign_flip in zip(couples, flipped, strict=True):
        better, other = measured[models[a]], measured[models[b]]
        apart = better.values[key] - other.values[key]
        error = standard_error(better.resamples[key] - other.resamples[key], len(by_group))
        low, high, p = difference(apart, error, degrees)
        folds = np.array([better.folds[fold][key] - other.folds[fold][key] for fold in better.folds])
        rows.append(
            {"model": models[a], "other": models[b], "metric": key[2], "difference": apart, "low": low, "high": high}
            | {"p_bootstrap": p, "p_delong": delong_p(aucs, covariance, a, b)}
            | {"p_folds": corrected_resampled_t(folds, ratio)}
            | {"accuracy_difference": float(right[a].mean() - right[b].mean()), "p_sign_flip": float(p_sign_flip)}
            | {"p_mcnemar": mcnemar(right[a] > 0.5, right[b] > 0.5)}
        )
    for row, corrected in zip(rows, holm(np.array([row["p_bootstrap"] for row in rows])), strict=True):
        row["p_holm"] = float(corrected)
    return rows


def _delong(pooled: Sequence[Pooled]) -> tuple[Array, Array]:
    """ROC-AUCs of two classes and their covariance; NaN for more.

    A video that is tested in several repeats counts once, with its mean placement.
    """
    first = pooled[0]
    both = all(len(np.unique(first.targets[rows])) == 2 for rows in first.repeats)
    if first.probabilities.shape[1] != 2 or not both:
        return np.full(len(pooled), np.nan), np.full((len(pooled), len(pooled)), np.nan)
    placed = np.full((len(pooled), len(first.targets)), np.nan)
    for rows in first.repeats:
        scores = np.stack([each.probabilities[rows, 1] for each in pooled])
        placed[:, rows] = placements(first.targets[rows] == 1, scores)
    placed = _by_video(first, placed)
    positive = _first_of_each(first, first.targets) == 1
    return placed[:, positive].mean(axis=1), delong(positive, placed)


def _by_video(pooled: Pooled, values: Array) -> Array:
    """Mean of each video over its repeats, float of (rows, videos) sorted by id, from (rows, predictions)."""
    codes = np.unique(pooled.table.id.to_numpy(str), return_inverse=True)[1]
    sums = np.stack([np.bincount(codes, row) for row in values])
    return np.asarray(sums / np.bincount(codes))


def _first_of_each(pooled: Pooled, values: Array) -> Array:
    """What a video has in every repeat, of (videos,), sorted by id."""
    return np.asarray(values[np.unique(pooled.table.id.to_numpy(str), return_index=True)[1]])
