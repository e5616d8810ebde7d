"""Simulate whole runs: draw data, assign folds as clipfold does, train, predict, evaluate.

Groups have 1 to some 20 videos (geometric, mean 5) with 8 features; 30 % of the variance is shared within a group. The
models see the same classes through features of their own, half of whose noise is common, and are equally good by
construction: linear discriminants, shrunk by a tenth. The truth is how good such models are for new groups, on average
over runs and folds: computed exactly for ROC-AUC, on 2,000 further groups for balanced accuracy.

A `select` of these models is simulated by the code that chooses in a fit: in each fold by the log-loss of inner grouped
folds, after calibration.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from clipfold.evaluation import comparison, intervals, within_folds
from clipfold.evaluation.measure import Measured
from clipfold.evaluation.pooling import Pooled
from clipfold.evaluation.temperature import fit_calibration
from clipfold.settings import SplitSettings
from clipfold.splits.assign import assign
from clipfold.training.inner import calibrated_loss, inner_folds

FEATURES, SHARED, SHRINKAGE = 8, 0.3, 0.1
MIXES = {"two classes": 2, "four classes": 4, "10 % rare": 2}
DRAWS = 300


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear discriminant, shrunk towards equal variances."""

    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, classes: int) -> Linear:
        means = np.stack([x[y == c].mean(axis=0) for c in range(classes)])
        spread = np.cov((x - means[y]).T, bias=True)
        spread = (1 - SHRINKAGE) * spread + SHRINKAGE * np.trace(spread) / FEATURES * np.eye(FEATURES)
        weights = np.linalg.solve(spread, means.T)
        prior = np.log(np.bincount(y, minlength=classes) / len(y))
        return cls(weights, prior - (means.T * weights).sum(axis=0) / 2)

    def predict(self, x: np.ndarray) -> np.ndarray:
        logits = x @ self.weights + self.bias
        found = np.exp(logits - logits.max(axis=1, keepdims=True))
        return found / found.sum(axis=1, keepdims=True)


def draw(random: np.random.Generator, groups: int, mix: str, signal: float, models: int) -> tuple[np.ndarray, ...]:
    """Draw features, float of (models, videos, features), class indices and groups, int of (videos,)."""
    classes = MIXES[mix]
    group = np.repeat(np.arange(groups), random.geometric(1 / 5, groups))
    shape = [2.7, 0.3] if mix == "10 % rare" else [1.5] * 2 if classes == 2 else [0.75] * 4
    shares = np.cumsum(random.dirichlet(shape, groups), axis=1)[group, :-1]
    y = (random.random(len(group))[:, None] > shares).sum(axis=1)
    means = np.zeros((classes, FEATURES))
    if classes == 2:
        means[:, 0] = -0.5, 0.5
    else:
        means[:, :classes] = np.eye(classes) / np.sqrt(2)

    def noise(rows: int) -> np.ndarray:
        common = random.normal(size=(rows, groups, FEATURES))[:, group]
        return np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * random.normal(size=(rows, len(group), FEATURES))

    return signal * means[y] + np.sqrt(0.5) * (noise(1) + noise(models)), y, group


def run(
    random: np.random.Generator, groups: int, mix: str, signal: float, number: int, models: int
) -> tuple[list[dict], float] | None:
    """Make one run; returns the rows of the comparison and the mean truth of its fits; None if it cannot be split."""
    classes = MIXES[mix]
    x, y, group = draw(random, groups, mix, signal, models)
    if min(len(np.unique(group[y == c])) for c in range(classes)) < 5:
        return None
    try:
        folds = assign([str(c) for c in y], [f"{g:05}" for g in group], SplitSettings(), number)
    except ValueError:
        return None
    further, truth, _ = draw(random, 2000, mix, signal, 1) if classes > 2 else (x, y, group)
    probabilities, fold, good = np.zeros((models, len(y), classes)), np.zeros(len(y), int), []
    for at, splits in enumerate(np.array(folds)):
        train, test = splits == "train", splits == "test"
        fold[test] = at
        for model in range(models):
            fitted = Linear.fit(x[model, train], y[train], classes)
            probabilities[model, test] = fitted.predict(x[model, test])
            if classes == 2:
                direction = fitted.weights[:, 1] - fitted.weights[:, 0]
                good.append(norm.cdf(signal * direction[0] / np.sqrt(2 * direction @ direction)))
            elif model == 0:
                right = fitted.predict(further[0]).argmax(axis=1) == truth
                good.append(np.mean([right[truth == c].mean() for c in range(classes)]))
    table = pd.DataFrame({"id": [f"{i:05}" for i in range(len(y))], "fold": fold, "repeat": 0})
    counts = intervals.draw(groups, number, DRAWS)
    measured = {f"model {m}": _measure(table, y, group, p, counts) for m, p in enumerate(probabilities)}
    trained = np.mean([(np.array(splits) == "train").sum() for splits in folds])
    rows, _ = comparison.compare(
        measured, counts, len(y) / 5 / trained, number, (), intervals.training(len(y), trained)
    )
    return rows, float(np.mean(good))


def select(random: np.random.Generator, groups: int, signal: float, number: int, models: int) -> np.ndarray | None:
    """Make one run of two classes with a `select`; None if it cannot be split.

    Returns:
        ROC-AUC within folds of the select and of the best model as it looks, and the mean truth of the select's fits.
    """
    x, y, group = draw(random, groups, "two classes", signal, models)
    if min(len(np.unique(group[y == c])) for c in range(2)) < 5:
        return None
    try:
        folds = assign([str(c) for c in y], [f"{g:05}" for g in group], SplitSettings(), number)
    except ValueError:
        return None
    scores, chosen, fold, good = np.zeros((models, len(y))), np.zeros(len(y)), np.zeros(len(y), int), []
    for at, splits in enumerate(np.array(folds)):
        learnt, test = np.flatnonzero(splits != "test"), splits == "test"
        inner = inner_folds(y[learnt], group[learnt], splits[learnt] == "val")
        losses, truths = [], []
        for own, tested in zip(x, scores, strict=True):
            losses.append(_inner_loss(own[learnt], y[learnt], group[learnt], inner))
            fitted = Linear.fit(own[learnt], y[learnt], 2)
            tested[test] = fitted.predict(own[test])[:, 1]
            direction = fitted.weights[:, 1] - fitted.weights[:, 0]
            truths.append(norm.cdf(signal * direction[0] / np.sqrt(2 * direction @ direction)))
        best = int(np.argmin(losses))
        chosen[test], fold[test] = scores[best, test], at
        good.append(truths[best])
    aucs = [within_folds.auc(y == 1, own, group, fold) for own in (chosen, *scores)]
    return np.array([aucs[0], max(aucs[1:]), np.mean(good)])


def _inner_loss(x: np.ndarray, y: np.ndarray, group: np.ndarray, inner: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Compute the log-loss out of the inner folds, after calibration."""
    p = np.full((len(y), 2), np.nan)
    for fitted, held in inner:
        p[held] = Linear.fit(x[fitted], y[fitted], 2).predict(x[held])
    seen = ~np.isnan(p[:, 0])
    return calibrated_loss(y[seen], p[seen], fit_calibration(y[seen], p[seen], len(np.unique(group[seen]))))


def simulate_select(trials: int, groups: int, signal: float, models: int) -> dict[str, float]:
    """Return how much too good a select looks on average, and the best model beside it, with the standard error."""
    logging.disable(logging.WARNING)  # of the folds, about small classes
    random, found, number = np.random.default_rng([groups, 7, int(10 * signal)]), [], 0
    while len(found) < trials:
        number += 1
        if (one := select(random, groups, signal, number, models)) is not None:
            found.append(one)
    rows = np.array(found)
    own, best = rows[:, 0] - rows[:, 2], rows[:, 1] - rows[:, 2]
    figures = {"truth": rows[:, 2].mean(), "bias": own.mean(), "error": own.std(ddof=1) / np.sqrt(trials)}
    return {name: round(float(value), 4) for name, value in (figures | {"bias of the best": best.mean()}).items()}


def _measure(table: pd.DataFrame, y: np.ndarray, group: np.ndarray, p: np.ndarray, counts: np.ndarray) -> Measured:
    """Measure the headlines alone, which takes a tenth of the time."""
    pooled = Pooled(table, table, y, group, p, p, None)
    recall = ("", "argmax", "balanced_accuracy")
    ones, classes = np.ones((1, counts.shape[1])), p.shape[1]

    def balanced(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return intervals.decisions(y[rows], p[rows].argmax(axis=1), group[rows], weights, classes)[0][
            "balanced_accuracy"
        ]

    def values(rows: np.ndarray) -> dict:
        found = {recall: float(balanced(rows, ones)[0]), ("", "", "roc_auc"): np.nan}
        if classes == 2:
            own = y[rows] == 1, p[rows, 1], group[rows], pooled.folds[rows]
            found["", "", "roc_auc_within"] = within_folds.auc(*own)
        return found

    every = np.arange(len(y))
    draws = {recall: balanced(every, counts)}
    if classes == 2:
        draws["", "", "roc_auc_within"] = within_folds.smoothed(y == 1, p[:, 1], group, pooled.folds, counts)
    folds = {int(f): values(np.flatnonzero(pooled.folds == f)) for f in np.unique(pooled.folds)}
    return Measured(pooled, values(every), draws, folds)


def simulate(trials: int, groups: int, mix: str, signal: float, models: int) -> dict[str, float]:
    """Return shares of runs: intervals with the truth, any model called behind; and the bias of the best."""
    logging.disable(logging.WARNING)  # of the folds, about small classes
    random, found = np.random.default_rng([groups, [*MIXES].index(mix), int(10 * signal)]), []
    number = 0
    while len(found) < trials:
        number += 1
        if one := run(random, groups, mix, signal, number, models):
            found.append(one)
    truth, shares = float(np.mean([good for _, good in found])), defaultdict(list)
    for rows, _ in found:
        shares["coverage"] += [row["low"] <= truth <= row["high"] for row in rows]
        shares["any behind"].append(any(not row["tied"] for row in rows))
        best = rows[0]
        shares["bias of the best"].append(best["value"] - truth)
        shares["bias of the best, corrected"].append(best["corrected"] - truth)
        shares["coverage of the best"].append(best["low"] <= truth <= best["high"])
        shares["coverage of the best, corrected"].append(best["corrected_low"] <= truth <= best["corrected_high"])
    return {"truth": round(truth, 4)} | {name: round(float(np.mean(values)), 4) for name, values in shares.items()}
