"""From what was probed, decoded and found alike to folds: who is used, what stays together, who is dealt where."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clipfold.leakage.audit import audit_folds
from clipfold.splits.assign import assign
from clipfold.splits.groups import resolve_groups
from clipfold.splits.quarantine import apply_policy
from clipfold.storage.files import PathLike, read_table, write_json, write_table
from clipfold.video.status import Status

if TYPE_CHECKING:  # the settings themselves are parameters of the job; the code that checks them changes nothing
    from clipfold.settings import PolicySettings, SplitSettings

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "label": pa.string(),
        "group": pa.string(),
        "repeat": pa.int16(),
        "fold": pa.int16(),  # numbers run on over repeats
        "split": pa.string(),  # `train`, `val` or `test`
    }
)
QUARANTINE = pa.schema({name: pa.string() for name in ("id", "path", "label", "group", "stage", "status", "reason")})
_PROBED = ("id", "path", "label", "group", "size_bytes", "digest", "status", "reason")


def split(
    metadata: Sequence[PathLike],
    indices: Sequence[PathLike],
    matches: PathLike,
    output: PathLike,
    quarantine: PathLike,
    audit: PathLike,
    settings: SplitSettings,
    folds: int,
    given: Mapping[str, str],
    policy: PolicySettings,
    allowed: Sequence[str],
    seed: int,
) -> None:
    """Deal the usable videos of all shards into folds.

    Args:
        metadata: tables that probing wrote.
        indices: indices of the decoded shards.
        matches: table of the pairs of videos that show the same.
        output: table of `SCHEMA`, a row per usable video and fold, sorted by fold and id.
        quarantine: table of `QUARANTINE`, a row per video that is not used.
        audit: JSON of what was checked and found, see `clipfold.leakage.audit`.
        settings: how to deal.
        folds: how many there must be in all, for jobs are planned before it is known which videos are usable.
        given: id -> split, for the scheme `column`.
        policy: what to do with videos that are not `ok`.
        allowed: `allow_leakage`; is noted in the audit, by which the gate judges.
        seed: of the dealing.

    Raises:
        ValueError: a video that the policy lets fail; too few usable videos or groups are left, or none of a class.
    """
    decoded = {row["id"]: row for row in read_table(indices, ("id", "row", "status", "reason")).to_pylist()}
    candidates = [
        row | {"stage": "decode" if row["status"] == Status.OK else "probe"} | decoded[row["id"]]
        for row in read_table(metadata, _PROBED).to_pylist()
    ]
    videos, rejected = apply_policy(candidates, policy)
    for row in rejected:
        logger.info("not used: %s: %s (%s)", row["id"], row["status"], row["reason"])
    _check_classes(videos, rejected)
    pairs = read_table(matches).to_pylist()
    same = [(pair["first"], pair["second"]) for pair in pairs]
    merge = settings.merge_near_duplicates
    groups, evidence = resolve_groups(videos, same, merge=merge, least=2 * settings.folds)
    given_splits = [given[v["id"]] for v in videos] if given else None
    if given:
        _check_classes([v for v in videos if given[v["id"]] == "test"], rejected, "to test with")
    splits = assign([v["label"] for v in videos], groups, settings, seed, given_splits)
    if len(splits) != folds:
        gone = sorted({row["group"] or row["id"] for row in candidates} - set(groups))
        raise ValueError(
            f"splits.scheme is {settings.scheme!r}, a fold per group of the manifest: of {len(gone)} of {folds} groups "
            f"no usable video is left, or they were put together with others: {', '.join(map(repr, gone[:20]))}. "
            "Take their rows out of the manifest (logs/splits.log says why), or use scheme grouped"
        )
    each = folds // settings.repeats
    rows = [
        {
            "id": video["id"],
            "label": video["label"],
            "group": group,
            "repeat": fold // each,
            "fold": fold,
            "split": split,
        }
        for fold, fold_splits in enumerate(splits)
        for video, group, split in zip(videos, groups, fold_splits, strict=True)
    ]
    write_table(output, rows, SCHEMA)
    write_table(quarantine, [{name: row[name] for name in QUARANTINE.names} for row in rejected], QUARANTINE)
    report = audit_folds(candidates, rows, pairs, evidence, settings.scheme, allowed)
    write_json(audit, report)
    logger.info(
        "%d videos in %d groups, %d quarantined: %d leaks",
        len(videos),
        len(set(groups)),
        len(rejected),
        report["leaks"],
    )


def _check_classes(used: Sequence[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]], what: str = "") -> None:
    """Raise where quarantine leaves nothing of a class: the rest would be another question than was asked."""
    left = {row["label"] for row in used}
    for label in sorted({row["label"] for row in rejected} - left):
        lost = Counter(row["status"] for row in rejected if row["label"] == label)
        why = ", ".join(f"{count} that are {status}" for status, count in lost.most_common())
        raise ValueError(
            f"no usable video of label {label!r} is left{what and ' ' + what}; not used are {why} (logs/splits.log "
            "names them). Mend the files, set `policy` to use them, or take the label's rows out of the manifest"
        )
