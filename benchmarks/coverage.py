"""Simulate how often intervals contain the truth, and how often tests find a difference that does not exist.

    python benchmarks/coverage.py --json coverage.json

A group has 1 to some 20 videos (geometric, mean 5), which share 30 % (intervals) or 40 % (tests) of the variance of
the models' errors. Labels are mixed within groups, or each group has one label, or one group in ten has the rare label.
The truth is the metric on 200,000 groups. For tests, models have the same skill and share half of their errors. With
400 trials, shares near 95 % or 5 % have a standard error of about 1 point.

    python benchmarks/coverage.py --runs 200 --groups 23 50 100 --json runs.json

simulates whole runs instead, with folds and training (`whole_runs.py`), and

    python benchmarks/coverage.py --selects 200 --groups 15 --models 20 --json selects.json

entries that choose between equal models in each fold.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import whole_runs

from clipfold.evaluation import intervals, metrics, resampled_ranking, significance

GROUPS = (15, 23, 50, 200)
SKILLS = {"poor": 1.0, "good": 2.2, "near perfect": 3.6}
KINDS = ("mixed", "one label", "rare label")
DRAWS = 400  # of groups; the evaluation uses 1,000, which changes standard errors by 2 %
FOLDS = 5
MODELS = 12

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


def simulate(random: np.random.Generator, groups: int, skill: float, kind: str, models: int = 1) -> Case:
    """Draw videos and the scores of models of equal skill.

    Returns:
        Targets, int of (videos,); logits, float of (models, videos); groups, int of (videos,).
    """
    group = np.repeat(np.arange(groups), random.geometric(1 / 5, groups))
    if kind == "mixed":
        positive = random.random(len(group)) < random.beta(1.5, 1.5, groups)[group]
    else:
        positive = (random.random(groups) < (0.1 if kind == "rare label" else 0.5))[group]
    shared = 0.3 if models == 1 else 0.4

    def noise(rows: int) -> np.ndarray:
        own = random.normal(size=(rows, len(group)))
        return np.sqrt(shared) * random.normal(size=(rows, groups))[:, group] + np.sqrt(1 - shared) * own

    errors = noise(1) if models == 1 else np.sqrt(0.5) * (noise(1) + noise(models))
    return positive.astype(int), 2 * (skill * (positive - 0.5) + errors), group


def cases(trials: int, groups: int, skill: float, kind: str, models: int = 1) -> Iterator[Case]:
    """Draw cases with at least two groups of each label, as every split requires."""
    random = np.random.default_rng([groups, KINDS.index(kind), models])
    while trials:
        case = simulate(random, groups, skill, kind, models)
        if min(len(np.unique(case[2][case[0] == label])) for label in (0, 1)) >= 2:
            trials -= 1
            yield case


def probabilities(logits: np.ndarray) -> np.ndarray:
    positive = 1 / (1 + np.exp(-logits))
    return np.column_stack([1 - positive, positive])


def coverage(trials: int, groups: int, skill: float, kind: str) -> dict[str, Any]:
    """Return, by metric, the truth and the shares of intervals with it: clipfold's and bootstrap percentiles."""
    y, logits, _ = simulate(np.random.default_rng(0), 200_000, skill, kind)
    truth = metrics.overall(y, probabilities(logits[0]))
    held: dict[str, list[list[bool]]] = defaultdict(list)
    for trial, (y, logits, group) in enumerate(cases(trials, groups, skill, kind)):
        p = probabilities(logits[0])
        values, degrees = metrics.overall(y, p), intervals.degrees_of_freedom(y, group)
        draws, _ = intervals.resampled(y, p, group, intervals.draw(groups, trial, DRAWS))
        for metric, value in values.items():
            low, high = intervals.interval_of(metric, value, draws[metric], groups, degrees, 2)
            below, above = np.nanquantile(draws[metric], [0.025, 0.975])
            held[metric].append([low <= truth[metric] <= high, below <= truth[metric] <= above])
    shares = {metric: np.mean(rows, axis=0).round(4).tolist() for metric, rows in held.items()}
    return {m: {"truth": round(truth[m], 4), "student": s[0], "percentiles": s[1]} for m, s in shares.items()}


def false_positives(trials: int, groups: int, kind: str) -> dict[str, float]:
    """Return the shares of trials with p below 0.05 for two equal models, and for any of twelve against the best."""
    found: dict[str, list[bool]] = defaultdict(list)
    for trial, (y, logits, group) in enumerate(cases(trials, groups, 1.6, kind, MODELS)):
        positive, counts = y == 1, intervals.draw(groups, trial, DRAWS)
        degrees = intervals.degrees_of_freedom(y, group)
        placed = significance.placements(positive, logits)
        aucs = placed[:, positive].mean(axis=1)
        draws = np.stack([resampled_ranking.ranking(positive, scores, group, counts)[0] for scores in logits])
        pairs = [(a, b) for a in range(MODELS) for b in range(a)]
        errors = [intervals.standard_error(draws[a] - draws[b], groups) for a, b in pairs]
        p = np.array(
            [intervals.difference(aucs[a] - aucs[b], e, degrees)[2] for (a, b), e in zip(pairs, errors, strict=True)]
        )
        best = int(aucs.argmax())
        with_best = np.array([best in pair for pair in pairs])
        right = (logits > 0) == positive
        by_group = np.bincount(group, right[1].astype(float) - right[0], groups)
        fold = np.random.default_rng(trial).permutation(groups)[group] % FOLDS
        folds = [
            metrics.ranking(positive[fold == k], logits[1, fold == k])[0]
            - metrics.ranking(positive[fold == k], logits[0, fold == k])[0]
            for k in range(FOLDS)
        ]
        single = {
            "bootstrap over groups": p[0],
            "sign flip by groups": significance.sign_flip(by_group[:, None], trial, 999)[0][0],
            "corrected resampled t": significance.corrected_resampled_t(np.array(folds), 1 / (FOLDS - 1)),
            "DeLong": significance.delong_p(aucs, significance.delong(positive, placed), 0, 1),
            "McNemar": significance.mcnemar(right[0], right[1]),
        }
        for name, value in single.items():
            found[name].append(bool(value < 0.05))
        found["any of 12 behind, Holm over all pairs"].append(bool((significance.holm(p)[with_best] < 0.05).any()))
        found["any of 12 behind, Holm over pairs with best"].append(
            bool((significance.holm(p[with_best]) < 0.05).any())
        )
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400, help="trials per case")
    parser.add_argument("--groups", type=int, nargs="+", default=GROUPS, help="numbers of groups")
    parser.add_argument("--runs", type=int, default=0, help="whole runs per case, instead of trials of given scores")
    parser.add_argument("--selects", type=int, default=0, help="runs of a select per case, instead of those")
    parser.add_argument("--models", type=int, default=6, help="equal models in whole runs and selects")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # draws that lack a label do not count
    result: dict[str, Any] = {"trials": args.trials, "coverage": {}, "false_positives": {}}
    if args.runs:
        result = {"runs": args.runs, "models": args.models, "cases": {}}
        for groups in args.groups:
            for mix in whole_runs.MIXES:
                for signal in (0.0, 1.0):
                    case = f"{mix}, {'signal' if signal else 'no signal'}, {groups} groups"
                    result["cases"][case] = found = whole_runs.simulate(args.runs, groups, mix, signal, args.models)
                    print(case, found, flush=True)
    if args.selects:
        result = {"selects": args.selects, "models": args.models, "cases": {}}
        for groups in args.groups:
            for signal in (0.0, 1.0):
                case = f"{'signal' if signal else 'no signal'}, {groups} groups"
                result["cases"][case] = found = whole_runs.simulate_select(args.selects, groups, signal, args.models)
                print(case, found, flush=True)
    for kind in KINDS if not (args.runs or args.selects) else ():
        for groups in args.groups:
            if kind == "rare label" and groups < 50:
                continue  # too few groups of the rare label to split at all
            for name, skill in SKILLS.items():
                case = f"{kind}, {name}, {groups} groups"
                result["coverage"][case] = found = coverage(args.trials, groups, skill, kind)
                print(case, {m: (row["student"], row["percentiles"]) for m, row in found.items()}, flush=True)
            case = f"{kind}, {groups} groups"
            result["false_positives"][case] = false_positives(args.trials, groups, kind)
            print(case, result["false_positives"][case], flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
