"""Inputs and output of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipfold.storage.files import PathLike


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportTask:
    """One report to write.

    Args:
        evaluation: Files written by `evaluate`: tables `predictions`, `metrics`, `comparison`, `pairs`, `calibration`,
            `choices`, `slices`, `unlabelled`; SVG figures `roc`, `precision_recall`, `confusion`, `reliability`.
        metadata: Tables written by probing, one row per row of the manifest.
        splits: Table of the folds.
        quarantine: Table of the quarantined videos.
        audit: `audit.json` of the folds.
        clips: Arrays of stored clips, one per shard; none of a table.
        whole: Arrays of the same clips as whole frames, where `clips` show a region; none otherwise.
        features: Features of a table, by shard; none of videos.
        index: Index tables of `clips`.
        histories: Model name -> `history.csv` of every fold.
        records: Model name -> `fit.json` of every fold.
        explanations: Model name -> table of its explanation; models without one are left out.
        benchmarks: Folder of Snakemake's benchmark files; may be incomplete or missing.
        output: Path of the page.
        config: Config of the run, with all defaults; contains `seed`.
        fingerprints: Stage -> hash of its code.
        labels: Digest of the manifest's ids, labels and groups.
        external: JSON about labelled videos that no fold saw, which `delivery` wrote; None without such.
        positive: The positive class of two; empty for the last in the alphabet.
        coarser_groups: JSON that `evaluation.coarser_groups` wrote; None: nobody scored coarser groups.
    """

    evaluation: Mapping[str, PathLike]
    metadata: Sequence[PathLike]
    splits: PathLike
    quarantine: PathLike
    audit: PathLike
    clips: Sequence[PathLike]
    index: Sequence[PathLike]
    whole: Sequence[PathLike] = ()
    features: Sequence[PathLike] = ()
    histories: Mapping[str, Sequence[PathLike]]
    records: Mapping[str, Sequence[PathLike]]
    explanations: Mapping[str, PathLike]
    benchmarks: PathLike
    output: PathLike
    config: Mapping[str, Any]
    fingerprints: Mapping[str, str]
    labels: str
    external: PathLike | None = None
    positive: str = ""
    coarser_groups: PathLike | None = None
