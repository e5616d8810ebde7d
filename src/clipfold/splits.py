"""Dealing videos into folds such that no group, and no copy of a video, is on both sides; and proof that it is so."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clipfold.dealing import deal
from clipfold.quarantine import identical, judge
from clipfold.status import Status
from clipfold.store import PathLike, read_table, write_json, write_table

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
        "role": pa.string(),  # `train`, `val` or `test`
    }
)
QUARANTINE = pa.schema({name: pa.string() for name in ("id", "path", "label", "group", "stage", "status", "reason")})
_PROBED = ("id", "path", "label", "group", "size_bytes", "digest", "status", "reason")


def split(
    metadata: Sequence[PathLike],
    indices: Sequence[PathLike],
    output: PathLike,
    quarantine: PathLike,
    audit: PathLike,
    settings: SplitSettings,
    folds: int,
    given: Mapping[str, str],
    policy: PolicySettings,
    seed: int,
) -> None:
    """Deal the usable videos of all shards into folds.

    Args:
        metadata: tables that probing wrote.
        indices: indices of the decoded shards.
        output: table of `SCHEMA`, a row per usable video and fold, sorted by fold and id.
        quarantine: table of `QUARANTINE`, a row per video that is not used.
        audit: JSON of what was checked and found.
        settings: how to deal.
        folds: how many there must be in all, for jobs are planned before it is known which videos are usable.
        given: id -> role, for the scheme `column`.
        policy: what to do with videos that are not `ok`.
        seed: of the dealing.

    Raises:
        ValueError: a video that the policy lets fail; too few usable videos or groups are left.
    """
    decoded = {row["id"]: row for row in read_table(indices, ("id", "row", "status", "reason")).to_pylist()}
    candidates = [
        row | {"stage": "decode" if row["status"] == Status.OK else "probe"} | decoded[row["id"]]
        for row in read_table(metadata, _PROBED).to_pylist()
    ]
    videos, rejected = judge(candidates, policy)
    groups = merge_copies([v["group"] for v in videos], [v["digest"] for v in videos])
    given_roles = [given[v["id"]] for v in videos] if given else None
    roles = deal([v["label"] for v in videos], groups, settings, seed, given_roles)
    if len(roles) != folds:
        gone = sorted({row["group"] for row in candidates} - set(groups))
        raise ValueError(
            f"splits.scheme is {settings.scheme!r}, a fold per group of the manifest: of {len(gone)} of {folds} groups "
            f"no usable video is left, or they were put together with others: {', '.join(map(repr, gone[:20]))}. "
            "Take their rows out of the manifest (results/splits/quarantine.parquet says why), or use scheme grouped"
        )
    each = folds // settings.repeats
    rows = [
        {"id": video["id"], "label": video["label"], "group": group, "repeat": fold // each, "fold": fold, "role": role}
        for fold, fold_roles in enumerate(roles)
        for video, group, role in zip(videos, groups, fold_roles, strict=True)
    ]
    write_table(output, rows, SCHEMA)
    write_table(quarantine, [{name: row[name] for name in QUARANTINE.names} for row in rejected], QUARANTINE)
    report = check(candidates, rows) | {
        "manifest": len(candidates),
        "usable": len(videos),
        "quarantined": len(rejected),
    }
    write_json(audit, report)
    logger.info(
        "%d videos in %d groups, %d quarantined: %d leaks",
        len(videos),
        len(set(groups)),
        len(rejected),
        report["leaks"],
    )


def merge_copies(groups: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Put groups that share a file of identical content into one, named as the first of them in the alphabet.

    >>> merge_copies(["a", "b", "c"], ["1", "2", "1"])
    ['a', 'b', 'a']
    """
    leader = {group: group for group in groups}

    def find(group: str) -> str:
        while leader[group] != group:
            group = leader[group]
        return group

    holder: dict[str, str] = {}
    for group, digest in zip(groups, digests, strict=True):
        first, second = sorted((find(group), find(holder.setdefault(digest, group))))
        leader[second] = first
    return [find(group) for group in groups]


def check(videos: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Look for leaks in the dealt table itself.

    Args:
        videos: every video of the manifest, used or not.
        rows: the dealt table.

    Returns:
        `groups_across_roles` and `copies_across_roles`: per fold, what is in more than one role; `copies`: sets of ids
        with identical content; `conflicting_labels`: those of them with different labels; `leaks`: how many of the
        first two there are.
    """
    digest = {video["id"]: video["digest"] for video in videos}
    copies = identical(video for video in videos if video["digest"] and video["size_bytes"])
    conflicting = [same for same in copies if len({video["label"] for video in same}) > 1]
    for same in conflicting:
        logger.error(
            "identical files carry different labels, one of which must be wrong: %s",
            ", ".join(f"{video['id']!r} is {video['label']!r}" for video in same),
        )
    return {
        "groups_across_roles": (torn := _across_roles(rows, lambda row: row["group"])),
        "copies_across_roles": (copied := _across_roles(rows, lambda row: digest[row["id"]])),
        "copies": [[video["id"] for video in same] for same in copies],
        "conflicting_labels": [[video["id"] for video in same] for same in conflicting],
        "leaks": len(torn) + len(copied),
    }


def _across_roles(rows: Sequence[Mapping[str, Any]], key: Any) -> list[dict[str, Any]]:
    roles: dict[tuple[int, str], set[str]] = defaultdict(set)
    for row in rows:
        roles[row["fold"], key(row)].add(row["role"])
    return [{"fold": f, "value": v, "roles": sorted(r)} for (f, v), r in sorted(roles.items()) if len(r) > 1]
