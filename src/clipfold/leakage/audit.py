"""Audit the assigned folds: find what the test videos share with the train and val videos of their fold.

`audit.json` holds

- `scheme`, `repeats`, `folds` (total number), `manifest`, `usable`, `quarantined` (numbers of videos);
- `kinds`: for each kind of leak, the number `found` and whether the config has it `allowed`. The kinds are `groups` (a
  group in several splits of a fold), `duplicates` (the same frames of the same bytes), `overlaps` (segments that share
  frames) and `near_duplicates`;
- `leaks`: total number found; `stops`: the kinds found and not allowed, which prevent training;
- `mark`: note on allowed leaks for the result tables, such as `random folds: 61 of 120 test videos leak`; empty if
  nothing leaks. It is the column `leakage` of `metrics`, `comparison`, `pairs`, `calibration` and `slices`;
- `tested`: number of test videos; `leaking`: how many of them share group, content or recording with a train or val
  video of their fold;
- `groups_across_splits`, `duplicates_across_splits`: `fold`, `value` and `splits` of each leak;
- `overlaps_across_splits`: `first`, `second` (ids), `frames` (number that they share), `folds`, `groups`, `labels`;
- `duplicates`: sets of ids with identical content; `conflicting_labels`: those sets that have different labels;
- `near_duplicates`: `pairs` (total number), `across_groups` and `other_labels` (numbers of pairs), and `across_splits`,
  a list of leaks, strongest first: `first`, `second` (ids), `change` and `score` (see `matches.SCHEMA`), `folds`,
  `groups`, `labels`;
- `groups`: `source` (`manifest`, `proposed`, or `both` if the manifest gives only some), `count`, and the evidence for
  proposed groups: `joined` (videos grouped with others), `by_name` and `by_picture` (how many for which reason),
  `pattern` (of file names, empty if none fits), `pairs_within` (share of near-duplicate pairs within one group of the
  pattern; null without pairs) and `by_chance` (the share expected for meaningless names).
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from clipfold.leakage.duplicates import identical
from clipfold.leakage.overlaps import overlapping

logger = logging.getLogger(__name__)

KINDS = ("groups", "duplicates", "overlaps", "near_duplicates")

Row = Mapping[str, Any]


def audit_folds(
    candidates: Sequence[Row],
    rows: Sequence[Row],
    pairs: Sequence[Row],
    groups: Mapping[str, Any],
    scheme: str,
    allowed: Sequence[str],
) -> dict[str, Any]:
    """Look for leaks in the table of folds itself, however it was made.

    Args:
        candidates: all videos of the manifest, used or not, with `id`, `label`, `digest` (of the content) and
            `size_bytes`; also what `overlapping` reads, if there are segments.
        rows: the table of folds, see `splits.split.SCHEMA`.
        pairs: near-duplicate pairs, rows of `matches.SCHEMA`.
        groups: evidence returned by `splits.groups.resolve_groups`.
        scheme: the split scheme.
        allowed: kinds of leaks to accept, the setting `allow_leakage`.

    Returns:
        The content of `audit.json`.
    """
    digest = {video["id"]: video["digest"] for video in candidates}
    duplicates = identical(video for video in candidates if video["digest"] and video["size_bytes"])
    conflicting = [same for same in duplicates if len({video["label"] for video in same}) > 1]
    for same in conflicting:
        logger.error(
            "identical files have different labels, so at least one is wrong: %s",
            ", ".join(f"{video['id']!r} is {video['label']!r}" for video in same),
        )
    torn = _across_splits(rows, lambda row: row["group"])
    copied = _across_splits(rows, lambda row: digest[row["id"]])
    near = _near_duplicates(rows, pairs)
    shared = list(overlapping(candidates, {row["id"]: row["group"] for row in rows}))
    overlaps = _torn(rows, sorted(shared, key=lambda pair: (-pair["frames"], pair["first"], pair["second"])))
    found = dict(zip(KINDS, map(len, (torn, copied, overlaps, near["across_splits"])), strict=True))
    kinds = {kind: {"found": n, "allowed": kind in allowed or scheme == "random"} for kind, n in found.items()}
    tested = {row["id"] for row in rows if row["split"] == "test"}
    leaking = set(_leaking(rows, [*pairs, *shared], digest))
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
        "overlaps_across_splits": overlaps,
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
    video = {row["id"]: row for row in rows}
    used = [pair for pair in pairs if pair["first"] in video and pair["second"] in video]
    apart = [pair for pair in used if video[pair["first"]]["group"] != video[pair["second"]]["group"]]
    leaks = _torn(rows, sorted(apart, key=lambda pair: (-pair["score"], pair["first"], pair["second"])))
    other_labels = sum(video[pair["first"]]["label"] != video[pair["second"]]["label"] for pair in used)
    return {"pairs": len(used), "across_groups": len(apart), "other_labels": other_labels, "across_splits": leaks}


def _torn(rows: Sequence[Row], pairs: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the pairs that are in different splits of a fold, with these folds, and the groups and labels of each."""
    split = {(row["fold"], row["id"]): row["split"] for row in rows}
    video = {row["id"]: row for row in rows}
    folds = sorted({row["fold"] for row in rows})
    leaks = []
    for pair in pairs:
        torn = [fold for fold in folds if split[fold, pair["first"]] != split[fold, pair["second"]]]
        if torn:
            ends = [video[pair[end]] for end in ("first", "second")]
            facts = {"folds": torn, "groups": [end["group"] for end in ends], "labels": [end["label"] for end in ends]}
            leaks.append({**pair, **facts})
    return leaks


def _leaking(rows: Sequence[Row], pairs: Sequence[Row], digest: Mapping[str, str]) -> Iterator[str]:
    """Yield the ids of test videos that share group, content or recording with a train or val video of their fold."""
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
