"""The audit of the dealt folds: what a test part has in common with what its models learn or choose by.

`audit.json` holds

- `scheme`, `repeats`, `folds` (test parts in all), `manifest`, `usable`, `quarantined` (videos);
- `kinds`: for each kind of leak, `groups` (a group in several splits of a fold), `duplicates` (files of identical
  content) and `near_duplicates`, how many were `found` and whether the config has it `allowed`;
- `leaks`: how many were found in all; `stops`: the kinds found and not allowed, for which nothing is trained;
- `mark`: what tables of results say of leaks that were allowed, such as `random folds: 61 of 120 test videos leak`;
  empty where nothing leaks. It is the column `leakage` of `metrics`, `comparison`, `pairs`, `calibration`, `slices`;
- `tested`: videos in a test part; `leaking`: those of them that share group, content or recording with a video that the
  models of that fold learn or choose by;
- `groups_across_splits`, `duplicates_across_splits`: `fold`, `value` and `splits` of each;
- `duplicates`, `conflicting_labels`: sets of ids with identical content; those of them with different labels;
- `near_duplicates`: `pairs` found in all, `across_groups` of them, `other_labels` of them, and `across_splits`, a list,
  strongest first: `first`, `second` (ids), `change` and `score` (see `matches.SCHEMA`), `folds`, `groups`, `labels`;
- `groups`: `source` (`manifest`, `proposed`, or `both` where the manifest leaves some out), `count`, and what speaks
  for the proposed ones: `joined` (videos put together with others), `by_name` and `by_picture` (of them, for which
  reason), `pattern` (of file names, empty if none was fit), `pairs_within` (share of the near-duplicate pairs that lie
  within one pattern; null without pairs) and `by_chance` (what it would be for names without meaning).
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clipfold.leakage.duplicates import identical

logger = logging.getLogger(__name__)

KINDS = ("groups", "duplicates", "near_duplicates")

Row = Mapping[str, Any]


def audit_folds(
    candidates: Sequence[Row],
    rows: Sequence[Row],
    pairs: Sequence[Row],
    groups: Mapping[str, Any],
    scheme: str,
    allowed: Sequence[str],
) -> dict[str, Any]:
    """Look for leaks in the dealt table itself, whatever made it.

    Args:
        candidates: every video of the manifest, used or not, with `id`, `label`, `digest` and `size_bytes`.
        rows: the dealt table.
        pairs: of videos that show the same, rows of `matches.SCHEMA`.
        groups: what `groups.resolve_groups` says of them.
        scheme: by which was dealt.
        allowed: `allow_leakage`.

    Returns:
        What `audit.json` holds.
    """
    digest = {video["id"]: video["digest"] for video in candidates}
    duplicates = identical(video for video in candidates if video["digest"] and video["size_bytes"])
    conflicting = [same for same in duplicates if len({video["label"] for video in same}) > 1]
    for same in conflicting:
        logger.error(
            "identical files carry different labels, one of which must be wrong: %s",
            ", ".join(f"{video['id']!r} is {video['label']!r}" for video in same),
        )
    torn = _across_splits(rows, lambda row: row["group"])
    copied = _across_splits(rows, lambda row: digest[row["id"]])
    near = _near_duplicates(rows, pairs)
    found = dict(zip(KINDS, (len(torn), len(copied), len(near["across_splits"])), strict=True))
    kinds = {kind: {"found": n, "allowed": kind in allowed or scheme == "random"} for kind, n in found.items()}
    tested = {row["id"] for row in rows if row["split"] == "test"}
    leaking = set(_leaking(rows, pairs, digest))
    usable = len({row["id"] for row in rows})
    return {
        "scheme": scheme,
        "repeats": len({row["repeat"] for row in rows}),
        "folds": len({row["fold"] for row in rows}),
        "manifest": len(candidates),
        "usable": usable,
        "quarantined": len(candidates) - usable,
        "kinds": kinds,
        "leaks": sum(found.values()),
        "stops": [kind for kind, own in kinds.items() if own["found"] and not own["allowed"]],
        "mark": _mark(scheme, found, len(leaking), len(tested)),
        "tested": len(tested),
        "leaking": len(leaking),
        "groups_across_splits": torn,
        "duplicates_across_splits": copied,
        "duplicates": [[video["id"] for video in same] for same in duplicates],
        "conflicting_labels": [[video["id"] for video in same] for same in conflicting],
        "near_duplicates": near,
        "groups": dict(groups),
    }


def _mark(scheme: str, found: Mapping[str, int], leaking: int, tested: int) -> str:
    if not any(found.values()):
        return ""
    what = "random folds" if scheme == "random" else " and ".join(k.replace("_", " ") for k, n in found.items() if n)
    return f"{what}: {leaking} of {tested} test videos leak"


def _across_splits(rows: Sequence[Row], key: Callable[[Row], str]) -> list[dict[str, Any]]:
    splits: dict[tuple[int, str], set[str]] = defaultdict(set)
    for row in rows:
        splits[row["fold"], key(row)].add(row["split"])
    return [{"fold": f, "value": v, "splits": sorted(r)} for (f, v), r in sorted(splits.items()) if len(r) > 1]


def _near_duplicates(rows: Sequence[Row], pairs: Sequence[Row]) -> dict[str, Any]:
    split = {(row["fold"], row["id"]): row["split"] for row in rows}
    video = {row["id"]: row for row in rows}
    folds = sorted({row["fold"] for row in rows})
    used = [pair for pair in pairs if pair["first"] in video and pair["second"] in video]
    apart = [pair for pair in used if video[pair["first"]]["group"] != video[pair["second"]]["group"]]
    leaks = []
    for pair in sorted(apart, key=lambda pair: (-pair["score"], pair["first"], pair["second"])):
        torn = [fold for fold in folds if split[fold, pair["first"]] != split[fold, pair["second"]]]
        if torn:
            ends = [video[pair[end]] for end in ("first", "second")]
            facts = {"folds": torn, "groups": [end["group"] for end in ends], "labels": [end["label"] for end in ends]}
            leaks.append({**pair, **facts})
    other_labels = sum(video[pair["first"]]["label"] != video[pair["second"]]["label"] for pair in used)
    return {"pairs": len(used), "across_groups": len(apart), "other_labels": other_labels, "across_splits": leaks}


def _leaking(rows: Sequence[Row], pairs: Sequence[Row], digest: Mapping[str, str]) -> Iterator[str]:
    """Ids of test videos of which models of their fold have seen something: group, content or recording."""
    seen: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        if row["split"] != "test":
            seen[row["fold"]] |= {("group", row["group"]), ("content", digest[row["id"]]), ("video", row["id"])}
    partners: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        partners[pair["first"]].append(pair["second"])
        partners[pair["second"]].append(pair["first"])
    for row in rows:
        if row["split"] == "test":
            own = {("group", row["group"]), ("content", digest[row["id"]])}
            own |= {("video", partner) for partner in partners[row["id"]]}
            if not own.isdisjoint(seen[row["fold"]]):
                yield row["id"]
