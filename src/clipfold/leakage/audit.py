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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clipfold.leakage.duplicates import identical
from clipfold.leakage.overlaps import overlapping
from clipfold.storage.files import Array

logger = logging.getLogger(__name__)

KINDS = ("groups", "duplicates", "overlaps", "near_duplicates")

Row = Mapping[str, Any]


class _Assigned:
    """The table of the folds by video: millions of rows as arrays.

    Args:
        folds: see `splits.split.SCHEMA`.

    Attributes:
        ids: the videos, each once.
        number: id -> place in `ids`.
        group: group of each video; `label`, likewise.
        folds: the folds, ascending.
        splits: names of the splits, in alphabetical order.
        split: index into `splits`, int8 (folds, videos); -1 for a video that a fold does not have.
    """

    def __init__(self, folds: pa.Table) -> None:
        coded = {name: folds[name].combine_chunks().dictionary_encode() for name in ("id", "fold", "split")}
        places = {name: column.indices.to_numpy() for name, column in coded.items()}
        self.ids = coded["id"].dictionary.to_pylist()
        self.number = {name: place for place, name in enumerate(self.ids)}
        _, first = np.unique(places["id"], return_index=True)
        self.group, self.label = (folds[name].take(first).to_pylist() for name in ("group", "label"))
        (self.folds, fold), (self.splits, split) = (
            np.unique(coded[name].dictionary.to_numpy(zero_copy_only=False), return_inverse=True)
            for name in ("fold", "split")
        )
        self.split = np.full((len(self.folds), len(self.ids)), -1, np.int8)
        self.split[fold[places["fold"]], places["id"]] = split[places["split"]]

    def of(self, split: str) -> Array:
        """Return True for the videos of a split, bool (folds, videos)."""
        return np.asarray(self.split == list(self.splits).index(split) if split in self.splits else self.split < -1)


def audit_folds(
    candidates: Sequence[Row],
    folds: pa.Table,
    pairs: Sequence[Row],
    groups: Mapping[str, Any],
    scheme: str,
    allowed: Sequence[str],
) -> dict[str, Any]:
    """Look for leaks in the table of folds itself, however it was made.

    Args:
        candidates: all videos of the manifest, used or not, with `id`, `label`, `digest` (of the content) and
            `size_bytes`; also what `overlapping` reads, if there are segments.
        folds: the table of folds, see `splits.split.SCHEMA`.
        pairs: near-duplicate pairs, rows of `matches.SCHEMA`.
        groups: evidence returned by `splits.groups.resolve_groups`.
        scheme: the split scheme.
        allowed: kinds of leaks to accept, the setting `allow_leakage`.

    Returns:
        The content of `audit.json`.
    """
    used = _Assigned(folds)
    digest = {video["id"]: video["digest"] for video in candidates}
    duplicates = identical(video for video in candidates if video["digest"] and video["size_bytes"])
    conflicting = [same for same in duplicates if len({video["label"] for video in same}) > 1]
    for same in conflicting:
        logger.error(
            "identical files have different labels, so at least one is wrong: %s",
            ", ".join(f"{video['id']!r} is {video['label']!r}" for video in same),
        )
    kept = [_coded(used.group), _coded([digest[name] for name in used.ids])]
    torn, copied = (_across_splits(used, *each) for each in kept)
    near = _near_duplicates(used, pairs)
    shared = list(overlapping(candidates, dict(zip(used.ids, used.group, strict=True))))
    overlaps = _torn(used, sorted(shared, key=lambda pair: (-pair["frames"], pair["first"], pair["second"])))
    found = dict(zip(KINDS, map(len, (torn, copied, overlaps, near["across_splits"])), strict=True))
    kinds = {kind: {"found": n, "allowed": kind in allowed or scheme == "random"} for kind, n in found.items()}
    tested, leaking = int(used.of("test").any(axis=0).sum()), _leaking(used, [*pairs, *shared], kept)
    usable = len(used.ids)
    return {
        "scheme": scheme,
        "repeats": len(folds["repeat"].unique()),
        "folds": len(used.folds),
        "manifest": len(candidates),
        "usable": usable,
        "quarantined": len(candidates) - usable,
        "kinds": kinds,
        "leaks": sum(found.values()),
        "stops": [kind for kind, own in kinds.items() if own["found"] and not own["allowed"]],
        "mark": _mark(scheme, found, leaking, tested),
        "tested": tested,
        "leaking": leaking,
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


def _coded(values: Sequence[str | None]) -> tuple[Array, Array]:
    """Return the distinct values, in order, and the place of each among them, int (videos,)."""
    names, places = np.unique(np.array([value or "" for value in values], object), return_inverse=True)
    return names, places


def _across_splits(used: _Assigned, names: Array, places: Array) -> list[dict[str, Any]]:
    """Return the values that videos in several splits of a fold share."""
    found = []
    for fold, split in zip(used.folds.tolist(), used.split, strict=True):
        held = np.zeros((len(names), len(used.splits)), bool)
        held[places[split >= 0], split[split >= 0]] = True
        for value in np.flatnonzero((held.sum(axis=1) > 1) & (names != "")):
            found.append({"fold": fold, "value": names[value], "splits": used.splits[held[value]].tolist()})
    return found


def _near_duplicates(used: _Assigned, pairs: Sequence[Row]) -> dict[str, Any]:
    ends = [(used.number.get(pair["first"]), used.number.get(pair["second"]), pair) for pair in pairs]
    known = [(a, b, pair) for a, b, pair in ends if a is not None and b is not None]
    apart = [pair for a, b, pair in known if used.group[a] != used.group[b]]
    leaks = _torn(used, sorted(apart, key=lambda pair: (-pair["score"], pair["first"], pair["second"])))
    other_labels = sum(used.label[a] != used.label[b] for a, b, _ in known)
    return {"pairs": len(known), "across_groups": len(apart), "other_labels": other_labels, "across_splits": leaks}


def _torn(used: _Assigned, pairs: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the pairs that are in different splits of a fold, with these folds, and the groups and labels of each."""
    leaks = []
    for pair in pairs:
        ends = [used.number[pair[end]] for end in ("first", "second")]
        torn = used.folds[used.split[:, ends[0]] != used.split[:, ends[1]]].tolist()
        if torn:
            facts = {"groups": [used.group[end] for end in ends], "labels": [used.label[end] for end in ends]}
            leaks.append({**pair, "folds": torn, **facts})
    return leaks


def _leaking(used: _Assigned, pairs: Sequence[Row], kept: Iterable[tuple[Array, Array]]) -> int:
    """Count the test videos that share group, content or recording with a train or val video of their fold."""
    known = [pair for pair in pairs if pair["first"] in used.number and pair["second"] in used.number]
    ends = [np.array([used.number[pair[end]] for pair in known], np.int64) for end in ("first", "second")]
    leaking = np.zeros(len(used.ids), bool)
    for tested, present in zip(used.of("test"), used.split >= 0, strict=True):
        others = present & ~tested
        seen = np.zeros(len(used.ids), bool)
        for names, places in kept:
            held = np.bincount(places[others], minlength=len(names)) > 0
            seen |= (held & (names != ""))[places]
        for one, other in (ends, ends[::-1]):
            seen[one[others[other]]] = True
        leaking |= seen & tested
    return int(leaking.sum())
