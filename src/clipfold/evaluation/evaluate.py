"""Evaluate all models on their test predictions: metrics, tests, tables and figures."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.evaluation import (
    calibration,
    chance,
    comparison,
    figures,
    intervals,
    ledger,
    measure,
    slices,
    tables,
    unlabelled,
)
from clipfold.evaluation.pooling import Pooled, pool, read_predictions
from clipfold.evaluation.task import EvaluationTask
from clipfold.storage.assigned import in_order, read_assigned, read_unlabelled
from clipfold.storage.files import Array, PathLike, read_json, read_table, write_table
from clipfold.storage.replace import replacing

logger = logging.getLogger(__name__)


def evaluate(task: EvaluationTask) -> None:
    """Compare models on their pooled out-of-fold predictions.

    Raises:
        ValueError: A video lacks its prediction, has several, or is both used and quarantined.
    """
    videos = read_assigned(task.splits)
    classes = in_order(videos.label.unique(), task.positive)
    both = sorted(
        {*videos.id, *read_unlabelled(task.splits)} & {*read_table(task.quarantine, ["id"]).column("id").to_pylist()}
    )
    if both:
        raise ValueError(f"{len(both)} videos are both used and quarantined, such as {both[0]!r}: rerun the splits")
    gathered, vary = {}, {}
    for model, paths in task.predictions.items():  # one after the other: all predictions may be more than memory holds
        given = read_predictions(paths)
        gathered[model], vary[model] = pool(model, given, videos, classes), _chance(model, given, videos, classes)
    del given
    counts = intervals.draw(int(next(iter(gathered.values())).groups.max()) + 1, task.seed)
    measured = {model: measure.measure(own, classes, counts, vary[model]) for model, own in gathered.items()}
    tested, trained = ((videos.split == split).sum() for split in ("test", "train"))
    ratio = float(tested / max(1, trained))
    training = intervals.training(tested / videos["repeat"].nunique(), trained / videos.fold.nunique())
    compared, pairs = comparison.compare(measured, counts, ratio, task.seed, task.shortcuts, training)
    scored = _count(task, gathered, compared)
    mark = {"leakage": read_json(task.audit)["mark"] if task.audit else ""}
    pooled = {row["model"]: gathered[row["model"]] for row in compared}
    scores = [row for model in pooled for row in measure.table(model, measured[model], classes, training)]

    def per_model(rows: Callable[[Pooled], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        return [{"model": model} | mark | row for model, own in pooled.items() for row in rows(own)]

    calibrated = [
        {"model": model} | mark | row
        for model, own in pooled.items()
        for row in calibration.compare(
            own.targets, own.probabilities, own.calibrated, own.groups, own.repeats, counts, training, vary[model]
        )
    ]
    bins = per_model(lambda own: _reliability(own, counts))
    everything = pd.concat([gathered[model].table for model in sorted(gathered)], ignore_index=True)
    choices = pd.concat([own.choices.assign(model=model) for model, own in pooled.items()], ignore_index=True)
    _write_frame(task.outputs["predictions"], everything)
    others = [unlabelled.answers(model, task.predictions[model], own.choices, classes) for model, own in pooled.items()]
    _write_frame(task.outputs["unlabelled"], pd.concat(others, ignore_index=True))
    _write_frame(task.outputs["choices"], choices[["model", *choices.columns.drop("model")]])
    compared = [row | scored for row in compared]
    scores, compared, pairs = ([row | mark for row in rows] for rows in (scores, compared, pairs))
    write_table(task.outputs["metrics"], scores, measure.SCHEMA)
    write_table(task.outputs["comparison"], compared, comparison.COMPARISON)
    write_table(task.outputs["pairs"], pairs, comparison.PAIRS)
    write_table(task.outputs["calibration"], calibrated, calibration.SCHEMA)
    write_table(task.outputs["bins"], bins, calibration.BINS)
    write_table(task.outputs["slices"], per_model(_slices(pooled, task)), slices.SCHEMA)

    texts = {
        "comparison_tex": tables.comparison(pd.DataFrame(compared), pd.DataFrame(scores)),
        "per_class_tex": tables.per_class(pd.DataFrame(scores)),
    }
    curves = {model: [(own.targets[r], own.probabilities[r]) for r in own.repeats] for model, own in pooled.items()}
    areas = {
        model: {name: own.values["", "", name] for name in ("roc_auc", "average_precision")}  # noqa: PD011 - no table
        for model, own in measured.items()
    }
    drawn = figures.evaluation(curves, areas, classes, pd.DataFrame(bins))
    for name, content in ({name: text.encode() for name, text in texts.items()} | drawn).items():
        with replacing(task.outputs[name]) as file:
            file.write(content)
    for row in compared:
        logger.info("%(model)s: %(metric)s %(value).3f [%(low).3f, %(high).3f]", row)


def _chance(
    model: str, tables: Sequence[pd.DataFrame], videos: pd.DataFrame, classes: Sequence[str]
) -> dict[tuple[str, ...], float]:
    """Compute the variance from chance in training of all values of a model that have an interval."""

    def values(own: Pooled) -> dict[tuple[str, ...], float]:
        calibrated = calibration.values(own.targets, own.probabilities, own.calibrated, own.repeats)
        return dict([*measure.values(own, classes).items(), *calibrated.items()])

    return chance.variances(tables, classes, lambda each: pool(model, each, videos, classes), values)


def _count(task: EvaluationTask, pooled: Mapping[str, Pooled], compared: list[dict[str, Any]]) -> dict[str, int | None]:
    """Enter the models, but for baselines, into the ledger; return the numbers of models that it holds."""
    if task.ledger is None:
        return {"scored": None, "scored_before": None}
    values = {row["model"]: row["value"] for row in compared if not row["shortcut"]}
    rivals = {model: pooled[model] for model in values}
    here, before = ledger.enter(task.ledger, rivals, compared[0]["metric"], values)
    return {"scored": here, "scored_before": before}


def _write_frame(path: PathLike, frame: pd.DataFrame) -> None:
    write_table(path, pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None))


def _reliability(pooled: Pooled, counts: Array) -> list[dict[str, Any]]:
    return [
        {"scaled": scaled} | row
        for scaled, given in ((False, pooled.probabilities), (True, pooled.calibrated))
        for row in calibration.reliability(pooled.targets, given, pooled.groups, counts)
    ]


def _slices(pooled: Mapping[str, Pooled], task: EvaluationTask) -> Callable[[Pooled], list[dict[str, Any]]]:
    """Cut the slices once; return a function that compares one model's errors on them."""
    first = next(iter(pooled.values())).table
    groups = first.drop_duplicates("id").set_index("id")["group"].sort_index()
    facts = slices.read_facts(list(groups.index), task.metadata, task.features, task.extras)
    cut = slices.cut(facts, groups)
    names, codes = np.unique(groups.to_numpy(str), return_inverse=True)

    def rows(own: Pooled) -> list[dict[str, Any]]:
        wrong = pd.Series(own.predicted != own.targets).groupby(own.table.id).mean().sort_index()
        return slices.compare(wrong.to_numpy(float), codes, list(names), cut, task.seed)

    return rows
