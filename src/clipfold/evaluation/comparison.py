"""Compare models pair by pair on the ranking metric, with intervals and significance tests."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from clipfold.evaluation.intervals import degrees_of_freedom, difference, interval_of, standard_error
from clipfold.evaluation.measure import Key, Measured
from clipfold.evaluation.pooling import Pooled
from clipfold.evaluation.selection import LEAST, best_of_many
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
from clipfold.evaluation.within_folds import headline
from clipfold.storage.files import Array

COMPARISON = pa.schema(
    {
        "model": pa.string(),
        "metric": pa.string(),  # `roc_auc_within` or `balanced_accuracy`, see `within_folds.headline`
        "value": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "pooled": pa.float64(),  # ROC-AUC of the scores of all folds together, beside `roc_auc_within`; else NaN
        "corrected": pa.float64(),  # for the best of three models or more, `selection.best_of_many`; else NaN
        "corrected_low": pa.float64(),
        "corrected_high": pa.float64(),
        "difference": pa.float64(),  # from the best model; positive only for baselines
        "difference_low": pa.float64(),
        "difference_high": pa.float64(),
        "p_holm": pa.float64(),  # against the best model, from `PAIRS`; NaN for the best
        "tied": pa.bool_(),  # not significantly different from the best: `p_holm` is 0.05 or more
        "shortcut": pa.bool_(),  # a baseline: listed last, never best, never tied, not in `PAIRS`
        # The baseline that is the hardest to beat, by its difference in standard errors: a model beats all if it beats
        # that one, with no correction for their number. "" for baselines, and if there are none.
        "best_shortcut": pa.string(),
        "over_shortcut": pa.float64(),  # difference from that baseline; positive is better
        "over_shortcut_low": pa.float64(),
        "over_shortcut_high": pa.float64(),
        "scored": pa.int64(),  # models ever scored on these test videos, see `ledger`; null if nobody counts
        "scored_before": pa.int64(),  # models ever scored on other test videos of these results
        "leakage": pa.string(),  # the leaks allowed, `mark` of audit.json; "" if none
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
        "p_holm": pa.float64(),  # `p_bootstrap`, corrected for the number of pairs
        "p_delong": pa.float64(),  # assumes independent videos; NaN for more than two classes
        "p_folds": pa.float64(),  # corrected resampled t over folds
        "accuracy_difference": pa.float64(),
        "p_sign_flip": pa.float64(),  # equal accuracy, by groups
        "p_mcnemar": pa.float64(),  # equal accuracy, assumes independent videos
        "leakage": pa.string(),
    }
)


def compare(
    measured: Mapping[str, Measured],
    counts: Array,
    ratio: float,
    seed: int,
    shortcuts: Sequence[str] = (),
    training: float = 0.0,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare all pairs of models, and each model with the baseline that is the hardest to beat.

    Holm's correction covers all pairs, not only those with the best model. The best model is selected on the same
    videos, which favours a lucky one: corrected for its own pairs alone, some of twelve equal models would be called
    worse in one run out of nine.

    Args:
        measured: Model name -> metrics, all on the same videos and draws.
        counts: The draws of groups.
        ratio: Test videos per training video.
        seed: Seed for the random signs.
        shortcuts: Names of the models that are baselines; at least one model must not be.
        training: Variance from training, see `intervals.training`.

    Returns:
        Rows of `COMPARISON`, best first (ties in order of name), baselines last; and rows of `PAIRS` in the same order,
        without baselines. Neither has `leakage`, nor the first `scored` and `scored_before`.
    """
    first = next(iter(measured.values())).pooled
    metric = headline(first.targets, first.groups, first.folds, first.probabilities.shape[1])
    groups, ranked = int(first.groups.max()) + 1, metric == "roc_auc_within"
    key = ("", "" if ranked else "argmax", metric)
    value = {model: own.values[key] for model, own in measured.items()}
    order = sorted(measured, key=lambda model: (model in shortcuts, -np.nan_to_num(value[model], nan=-np.inf), model))
    baselines = [model for model in order if model in shortcuts]
    degrees = degrees_of_freedom(first.targets, first.groups)
    rivals = {model: measured[model] for model in order if model not in shortcuts}
    corrected = dict.fromkeys(order, (np.nan,) * 3)
    if len(rivals) >= LEAST:
        corrected[order[0]] = best_of_many(rivals, key, counts, degrees, training)
    pairs = _pairs(rivals, key, degrees, ratio, seed, training)
    with_best = {row["other"]: row for row in pairs if row["model"] == order[0]}

    def apart(model: str, other: str) -> tuple[float, float, float]:
        error = _error_apart(measured[model], measured[other], key, groups, training)
        by = value[model] - value[other]
        return (by, *difference(by, error, degrees)[:2])

    rows = []
    for model in order:
        draws = measured[model].resamples[key]
        classes, chance = first.probabilities.shape[1], measured[model].chance.get(key, 0.0)
        low, high = interval_of(metric, value[model], draws, groups, degrees, classes, training, chance)
        to_best: Sequence[float] = (0.0, 0.0, 0.0)
        p_holm, tied = np.nan, model == order[0]
        if pair := with_best.get(model):
            to_best = -pair["difference"], -pair["high"], -pair["low"]
            p_holm, tied = pair["p_holm"], pair["p_holm"] >= LEVEL
        elif model in baselines:
            to_best = apart(model, order[0])
        hardest, over = "", (np.nan,) * 3
        if baselines and model not in baselines:
            hardest, over = min(((each, apart(model, each)) for each in baselines), key=_in_errors)
        rows.append(
            {"model": model, "metric": metric, "value": value[model], "low": low, "high": high}
            | {"pooled": measured[model].values["", "", "roc_auc"] if ranked else np.nan}
            | dict(zip(("corrected", "corrected_low", "corrected_high"), corrected[model], strict=True))
            | dict(zip(("difference", "difference_low", "difference_high"), to_best, strict=True))
            | {"p_holm": p_holm, "tied": tied, "shortcut": model in baselines}
            | {"best_shortcut": hardest}
            | dict(zip(("over_shortcut", "over_shortcut_low", "over_shortcut_high"), over, strict=True))
        )
    return rows, pairs


def _error_apart(one: Measured, other: Measured, key: Key, groups: int, training: float) -> float:
    """Compute the standard error of the difference of two models; their trainings vary independently."""
    chance = one.chance.get(key, 0.0) + other.chance.get(key, 0.0)
    return standard_error(one.resamples[key] - other.resamples[key], groups, training, chance)


def _in_errors(over: tuple[str, tuple[float, float, float]]) -> float:
    """Return a difference from a baseline as a share of its interval; last in order if there is none."""
    by, low, high = over[1]
    return float(np.nan_to_num(by / max(high - low, 1e-9), nan=np.inf))


def _pairs(
    measured: Mapping[str, Measured], key: Key, degrees: float, ratio: float, seed: int, training: float
) -> list[dict[str, Any]]:
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
        error = _error_apart(better, other, key, len(by_group), training)
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
    """Compute ROC-AUCs within folds and their covariance for two classes; NaN for more. Knows no groups.

    Folds test different videos, so their covariances add, weighted by their pairs. Repeats test the same videos: as if
    they always agreed, their covariances are averaged.
    """
    first, number = pooled[0], len(pooled)
    aucs, covariance, total = np.zeros(number), np.zeros((number, number)), 0.0
    if first.probabilities.shape[1] != 2:
        return np.full(number, np.nan), np.full((number, number), np.nan)
    for repeat in first.repeats:
        parts = [repeat[first.folds[repeat] == fold] for fold in np.unique(first.folds[repeat])]
        positives = [first.targets[rows] == 1 for rows in parts]
        pairs = np.array([side.sum() * (~side).sum() for side in positives], float)
        for rows, side, share in zip(parts, positives, pairs / max(1, pairs.sum()), strict=True):
            if share:
                placed = placements(side, np.stack([each.probabilities[rows, 1] for each in pooled]))
                aucs += share * placed[:, side].mean(axis=1)
                covariance += share**2 * delong(side, placed)
        total += bool(pairs.any())
    return (aucs / total, covariance / total) if total else (aucs * np.nan, covariance * np.nan)


def _by_video(pooled: Pooled, values: Array) -> Array:
    """Average each video over repeats: float of (rows, videos) sorted by id, from (rows, predictions)."""
    codes = np.unique(pooled.table.id.to_numpy(str), return_inverse=True)[1]
    sums = np.stack([np.bincount(codes, row) for row in values])
    return np.asarray(sums / np.bincount(codes))


def _first_of_each(pooled: Pooled, values: Array) -> Array:
    """Return the first value of each video, of (videos,) sorted by id, for facts that repeats share."""
    return np.asarray(values[np.unique(pooled.table.id.to_numpy(str), return_index=True)[1]])
