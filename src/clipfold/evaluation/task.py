"""Inputs, outputs and options of an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipfold.storage.files import PathLike


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationTask:
    """One evaluation of all models of a run.

    Args:
        predictions: Model name -> its prediction tables, in fold order.
        splits: Table of the folds.
        quarantine: Table of the quarantined videos.
        metadata: Tables written by probing.
        features: Tables of handcrafted features.
        extras: `id` and the manifest's extra columns; empty if it has none.
        outputs: Paths of the files to write. Tables: `predictions` (`id label group repeat fold model p_<class>...`,
            sorted by model, repeat and id), `choices` (`model` and what each fold chose without its test
            videos, see `pooling.Pooled`), `unlabelled` (see `evaluation.unlabelled`) and, best model first, `metrics`,
            `comparison`, `pairs`, `calibration`, `bins` and `slices`, with their modules' schemas. LaTeX:
            `comparison_tex`, `per_class_tex`. Figures: `roc`, `precision_recall`, `confusion` and `reliability` as SVG,
            and the same names with `_pdf` as PDF.
        seed: Seed for the resampling of intervals and tests.
        audit: `audit.json` of the folds, see `clipfold.leakage.audit`; its `mark` goes into every table. None: no mark.
        positive: The positive class of two; empty for the last in the alphabet.
        ledger: File that counts the models scored so far, see `clipfold.evaluation.ledger`. None: nobody counts.
        shortcuts: Names of the models that are baselines: never best, and not in `pairs`.
    """

    predictions: Mapping[str, Sequence[PathLike]]
    splits: PathLike
    quarantine: PathLike
    metadata: Sequence[PathLike]
    features: Sequence[PathLike]
    extras: Mapping[str, Sequence[str]]
    outputs: Mapping[str, PathLike]
    seed: int
    audit: PathLike | None = None
    positive: str = ""
    ledger: PathLike | None = None
    shortcuts: Sequence[str] = ()
