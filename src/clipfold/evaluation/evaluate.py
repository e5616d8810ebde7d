"""Everything that is computed from the test predictions of all models: numbers, tests, tables, figures."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipfold.evaluation import calibration, comparison, figures, intervals, measure, slices, tables
from clipfold.evaluation.pooling import Pooled, pool
from clipfold.storage.files import Array, PathLike, read_json, read_table, replacing, write_table

logger = logging.getLogger(__name__)


def evaluate(
    predictions: Mapping[str, Sequence[PathLike]],
    splits: PathLike,
    quarantine: PathLike,
    metadata: Sequence[PathLike],
    features: Sequence[PathLike],
    extras: Mapping[str, Sequence[str]],
    outputs: Mapping[str, PathLike],
    seed: int,
    audit: PathLike | None = None,
    shortcuts: Sequence[str] = (),
) -> None:
    """Compare models on the pooled predictions for videos that they were not trained on.

    Args:
        predictions: model -> the tables that fitting wrote, in the order of folds.
        splits: table of the folds.
        quarantine: table of the videos that are not used.
        metadata: tables that probing wrote.
        features: tables of handcrafted features.
        extras: `id` and the manifest's further columns; empty where it has none.
        outputs: the tables `predictions` (`id label group repeat fold model p_<class>...`, by model, repeat, id),
            `choices` (`model fold videos threshold temperature`: what each fold's validation part chose) and, best
            model first, `metrics`, `comparison`, `pairs`, `calibration`, `bins` and `slices`, of their modules'
            schemas; LaTeX tables `comparison_tex` and `per_class_tex`; figures `roc`, `precision_recall`, `confusion`
            and `reliability` (SVG), and the same with `_pdf`.
        seed: of the resampling for intervals and tests.
        audit: what was found in the folds, see `clipfold.leakage.audit`; its `mark` is in every table. None: no mark.
        shortcuts: the models that are baselines: never best, and not in `pairs`.

    Raises:
        ValueError: a video without exactly one prediction, or one both used and quarantined.
    """
    videos = read_table(splits).to_pandas()
    classes = sorted(videos.label.unique())
    both = sorted({*videos.id} & {*read_table(quarantine, ["id"]).column("id").to_pylist()})
    if both:
        raise ValueError(f"{len(both)} videos are used and in quarantine, such as {both[0]!r}: make the splits again")
    gathered = {model: pool(model, paths, videos) for model, paths in predictions.items()}
    counts = intervals.draw(int(next(iter(gathered.values())).groups.max()) + 1, seed)
    measured = {model: measure.measure(pooled, classes, counts) for model, pooled in gathered.items()}
    ratio = float((videos.split == "test").sum() / max(1, (videos.split == "train").sum()))
    compared, pairs = comparison.compare(measured, ratio, seed, shortcuts)
    mark = {"leakage": read_json(audit)["mark"] if audit else ""}
    pooled = {row["model"]: gathered[row["model"]] for row in compared}
    scores = [row for model in pooled for row in measure.table(model, measured[model], classes)]

    def of_each(rows: Callable[[Pooled], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        return [{"model": model} | mark | row for model, own in pooled.items() for row in rows(own)]

    calibrated = of_each(
        lambda own: calibration.compare(own.targets, own.probabilities, own.calibrated, own.groups, own.repeats, counts)
    )
    bins = of_each(lambda own: _reliability(own, counts))
    everything = pd.concat([gathered[model].table for model in sorted(gathered)], ignore_index=True)
    choices = pd.concat([own.choices.assign(model=model) for model, own in pooled.items()], ignore_index=True)
    _write_frame(outputs["predictions"], everything)
    _write_frame(outputs["choices"], choices[["model", *choices.columns.drop("model")]])
    scores, compared, pairs = ([row | mark for row in rows] for rows in (scores, compared, pairs))
    write_table(outputs["metrics"], scores, measure.SCHEMA)
    write_table(outputs["comparison"], compared, comparison.COMPARISON)
    write_table(outputs["pairs"], pairs, comparison.PAIRS)
    write_table(outputs["calibration"], calibrated, calibration.SCHEMA)
    write_table(outputs["bins"], bins, calibration.BINS)
    write_table(outputs["slices"], of_each(_slices(pooled, metadata, features, extras, seed)), slices.SCHEMA)

    texts = {
        "comparison_tex": tables.comparison(pd.DataFrame(compared), pd.DataFrame(scores)),
        "per_class_tex": tables.per_class(pd.DataFrame(scores)),
    }
    curves = {model: [(own.targets[r], own.probabilities[r]) for r in own.repeats] for model, own in pooled.items()}
    drawn = figures.evaluation(curves, classes, pd.DataFrame(bins))
    for name, content in ({name: text.encode() for name, text in texts.items()} | drawn).items():
        with replacing(outputs[name]) as file:
            file.write(content)
    for row in compared:
        logger.info("%(model)s: %(metric)s %(value).3f [%(low).3f, %(high).3f]", row)


def _write_frame(path: PathLike, frame: pd.DataFrame) -> None:
    write_table(path, pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None))


def _reliability(pooled: Pooled, counts: Array) -> list[dict[str, Any]]:
    return [
        {"scaled": scaled} | row
        for scaled, given in ((False, pooled.probabilities), (True, pooled.calibrated))
        for row in calibration.reliability(pooled.targets, given, pooled.groups, counts)
    ]


def _slices(
    pooled: Mapping[str, Pooled],
    metadata: Sequence[PathLike],
    features: Sequence[PathLike],
    extras: Mapping[str, Sequence[str]],
    seed: int,
) -> Callable[[Pooled], list[dict[str, Any]]]:
    """How the errors of any of the models spread over the slices, which are the same for all."""
    first = next(iter(pooled.values())).table
    groups = first.drop_duplicates("id").set_index("id")["group"].sort_index()
    facts = slices.read_facts(list(groups.index), metadata, features, extras)
    cut = slices.cut(facts, groups)
    names, codes = np.unique(groups.to_numpy(str), return_inverse=True)

    def rows(own: Pooled) -> list[dict[str, Any]]:
        wrong = pd.Series(own.predicted != own.targets).groupby(own.table.id).mean().sort_index()
        return slices.compare(wrong.to_numpy(float), codes, list(names), cut, seed)

    return rows
