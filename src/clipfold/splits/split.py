"""Build the folds: filter, group, assign, audit."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clipfold.leakage.audit import audit_folds
from clipfold.manifest.groups import grouping_notes
from clipfold.manifest.read import Video
from clipfold.splits.assign import assign
from clipfold.splits.groups import resolve_groups
from clipfold.splits.quarantine import apply_policy
from clipfold.status import Status
from clipfold.storage.assigned import UNLABELLED
from clipfold.storage.files import PathLike, read_table, write_json, write_table

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import PolicySettings, SplitSettings

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "label": pa.string(),
        "group": pa.string(),
        "repeat": pa.int16(),
        "fold": pa.int16(),  # numbers continue over repeats
        "split": pa.string(),  # `train`, `val`, `test`, or `UNLABELLED` in every fold
    }
)
QUARANTINE = pa.schema({name: pa.string() for name in ("id", "path", "label", "group", "stage", "status", "reason")})
_PROBED = ("id", "size_bytes", "digest", "content", "first_frame", "frames", "status", "reason")


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitTask:
    """Inputs, outputs and settings for building the folds.

    Args:
        videos: rows of the manifest: what a person says of each video.
        metadata: input tables, written by probing.
        indices: indices of the decoded shards.
        matches: input table of the near-duplicate pairs.
        output: output table of `SCHEMA`, one row per usable video and fold, sorted by fold and id.
        quarantine: output table of `QUARANTINE`, one row per rejected video.
        audit: output JSON of the audit, see `clipfold.leakage.audit`.
        settings: scheme, number of folds and repeats, share of the val split.
        folds: total number of folds the run was planned for, before it was known which videos are usable.
        given: id -> split, for the scheme `column`; empty otherwise.
        policy: action for videos that are not `ok`.
        allowed: kinds of leaks to accept (`allow_leakage`), noted in the audit for the gate.
        seed: seed for the random assignment.
    """

    videos: Sequence[Video]
    metadata: Sequence[PathLike]
    indices: Sequence[PathLike]
    matches: PathLike
    output: PathLike
    quarantine: PathLike
    audit: PathLike
    settings: SplitSettings
    folds: int
    given: Mapping[str, str]
    policy: PolicySettings
    allowed: Sequence[str]
    seed: int


def split(task: SplitTask) -> None:
    """Assign the usable videos of all shards to folds, and audit the result.

    Raises:
        ValueError: a video for whose status the policy says `fail`; too few usable videos or groups; a class without
            usable videos.
    """
    settings, given = task.settings, task.given
    said, warning = grouping_notes([video.values for video in task.videos if video.label])
    for level, text in ((logging.INFO, said), (logging.WARNING, warning)):
        if text:
            logger.log(level, "%s", text)
    decoded = {row["id"]: row for row in read_table(task.indices, ("id", "row", "status", "reason")).to_pylist()}
    named = {
        v.id: {"path": v.path, "label": v.label, "group": v.group if v.grouped else None, "source": v.source}
        for v in task.videos
    }
    candidates = [
        row
        | {"digest": row["content"], "bytes": row["digest"]}  # two segments of one file are no duplicates
        | named[row["id"]]
        | {"stage": "decode" if row["status"] == Status.OK else "probe"}
        | decoded[row["id"]]
        for row in read_table(task.metadata, _PROBED).to_pylist()
    ]
    del decoded, named
    videos, rejected = apply_policy(candidates, task.policy)
    for row in rejected:
        logger.info("not used: %s: %s (%s)", row["id"], row["status"], row["reason"])
    others = [video for video in videos if not video["label"]]
    videos = [video for video in videos if video["label"]]
    if others:
        logger.info(
            "%d videos have no label: the model of every fold predicts them; they are not scored, and hold no groups "
            "together: a fold may learn from videos of their group",
            len(others),
        )
    _check_classes(videos, rejected)
    pairs = read_table(task.matches).to_pylist()
    same = [(pair["first"], pair["second"]) for pair in pairs]
    merge = settings.merge_near_duplicates
    groups, evidence = resolve_groups(videos, same, merge=merge, least=2 * settings.folds)
    given_splits = [given[v["id"]] for v in videos] if given else None
    if given:
        _check_classes([v for v in videos if given[v["id"]] == "test"], rejected, "in test")
    splits = assign([v["label"] for v in videos], groups, settings, task.seed, given_splits)
    if len(splits) != task.folds:
        gone = sorted({row["group"] or row["source"] for row in candidates if row["label"]} - set(groups))
        raise ValueError(
            f"splits.scheme is {settings.scheme!r}, one fold per group of the manifest, but {len(gone)} of "
            f"{task.folds} groups have no usable video left or were merged with others: "
            f"{', '.join(map(repr, gone[:20]))}. Remove their rows from the manifest (logs/splits.log gives the "
            "reasons), or use the scheme grouped"
        )
    each = task.folds // settings.repeats
    columns = {"id": [v["id"] for v in videos], "label": [v["label"] for v in videos], "group": groups}
    folds = _table(columns, splits, each)
    columns = {"id": [v["id"] for v in others], "label": [""] * len(others)}
    columns["group"] = [video["group"] or video["source"] for video in others]
    asked = _table(columns, [[UNLABELLED] * len(others)] * task.folds, each)
    every = pa.concat_tables([folds, asked]).sort_by([("fold", "ascending"), ("id", "ascending")]) if others else folds
    write_table(task.output, every)
    write_table(task.quarantine, [{name: row[name] for name in QUARANTINE.names} for row in rejected], QUARANTINE)
    report = audit_folds(
        [row for row in candidates if row["label"]], folds, pairs, evidence, settings.scheme, task.allowed
    )
    write_json(task.audit, report)
    logger.info(
        "%d videos in %d groups, %d quarantined: %d leaks",
        len(videos),
        len(set(groups)),
        len(rejected),
        report["leaks"],
    )


def _table(columns: Mapping[str, Sequence[str]], splits: Sequence[Sequence[str]], each: int) -> pa.Table:
    """Make a table of `SCHEMA` of videos, sorted by id, and their splits in each fold; `each` repeat has as many."""
    shared = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    parts = []
    for fold, split in enumerate(splits):
        numbers = {"repeat": np.full(len(split), fold // each), "fold": np.full(len(split), fold)}
        parts.append(pa.table(shared | numbers | {"split": pa.array(split, pa.string())}, SCHEMA))
    return pa.concat_tables(parts)


def _check_classes(used: Sequence[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]], what: str = "") -> None:
    """Raise if quarantine leaves a class without videos: the run would answer another question than was asked."""
    left = {row["label"] for row in used}
    for label in sorted({row["label"] for row in rejected} - left - {""}):
        lost = Counter(row["status"] for row in rejected if row["label"] == label)
        why = ", ".join(f"{count} {status}" for status, count in lost.most_common())
        raise ValueError(
            f"no usable video of label {label!r} is left{what and ' ' + what}: {why} (logs/splits.log names them). "
            "Repair the files, set `policy` to use them, or remove the label's rows from the manifest"
        )
