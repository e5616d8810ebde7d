"""Assign each video to train, val or test in each fold. Pure."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from clipfold.storage.files import Array
from clipfold.storage.hashing import stable_hash

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import SplitSettings

logger = logging.getLogger(__name__)

Parts = list[tuple[Any, Any]]
"""For each part, the indices of all other videos and of its own."""

_ATTEMPTS = 20

_WORTH_MOVING = 3e-4
"""Least gain in balance, a sum of squared shares, for moving a group; parts then differ by some 6 % at most.

Without it, parts would be as equal as scikit-learn's, but an added video would move half as many videos again.
"""


def assign(
    labels: Sequence[str], groups: Sequence[str], settings: SplitSettings, seed: int, given: Sequence[str] | None = None
) -> list[list[str]]:
    """Assign each video to a split in each fold.

    `settings.scheme` decides the test split of each fold. The val split is taken from the rest in the same way, or
    grouped if the scheme defines no way of its own. Fold numbers continue over repeats.

    Args:
        labels: class of each video.
        groups: group of each video.
        settings: scheme, number of folds and repeats, share of the val split.
        seed: seed for the random assignment.
        given: split of each video in the manifest, for the scheme `column` only.

    Returns:
        For each fold, the split of each video: `train`, `val` or `test`. Except with the scheme `column`, each video is
        in `test` in exactly one fold of each repeat.

    Raises:
        ValueError: fewer groups than folds, or a fold whose train split lacks a class.
    """
    y, g = np.asarray(labels), np.asarray(groups)
    if settings.scheme == "column":
        assert given is not None
        return [_complete(y, g, np.array(given, object), settings, seed)]
    units = len(set(groups)) if settings.scheme != "random" else len(groups)
    if settings.scheme != "leave_one_group_out" and units < settings.folds:
        raise ValueError(
            f"splits.folds is {settings.folds}, but only {units} groups have usable videos: "
            "use fewer folds, or see logs/splits.log for the videos that were quarantined and why"
        )
    folds: list[list[str]] = []
    for _ in range(settings.repeats):
        folds += _assign_once(y, g, settings, seed + len(folds), len(folds))
    _warn_of_small_classes(y, folds, ("val",) if settings.scheme == "leave_one_group_out" else ("test", "val"))
    return folds


def _assign_once(y: Array, g: Array, settings: SplitSettings, seed: int, first: int) -> list[list[str]]:
    """Assign the folds of one repeat; retry with other seeds if a train split lacks a class."""
    for attempt in range(_ATTEMPTS):
        try:
            folds = []
            for number, (_, test) in enumerate(_parts(y, g, settings.scheme, settings.folds, seed + 1000 * attempt)):
                splits = np.full(len(y), "train", dtype=object)
                splits[test] = "test"
                folds.append(_complete(y, g, splits, settings, seed + 1000 * attempt + number, first + number))
        except _LacksClass as error:
            if settings.scheme == "leave_one_group_out" or attempt == _ATTEMPTS - 1:
                raise
            why = str(error).partition(":")[0]
        else:
            if attempt:
                logger.warning("%s: all folds were assigned again with another seed", why)
            return folds
    raise AssertionError("the last attempt returns or raises")


class _LacksClass(ValueError):
    """A train split lacks a class."""


def _complete(y: Array, g: Array, splits: Array, settings: SplitSettings, seed: int, fold: int = 0) -> list[str]:
    """Take the val split out of the train split unless there is one already."""
    rest = np.flatnonzero(splits == "train")
    if not (splits == "val").any() and len(rest):
        scheme = settings.scheme if settings.scheme in ("random", "stable") else "grouped"
        splits[rest[_validation(y[rest], g[rest], settings.validation, scheme, seed)]] = "val"
    lacking = set(y) - set(y[splits == "train"])
    if lacking:
        raise _LacksClass(
            f"fold {fold} has no {', '.join(repr(str(label)) for label in sorted(lacking))} in train: "
            "the class has too few groups: add groups or change the number of folds (splits.folds)"
        )
    return list(splits)


def _validation(y: Array, g: Array, share: float, scheme: str, seed: int) -> Any:
    """Return the indices of the val split: the candidate closest to the wanted size and mix of classes."""
    units = len(set(g)) if scheme != "random" else len(g)
    parts = max(2, min(round(1 / share), units))
    wanted = np.array([share * count for _, count in sorted(Counter(y).items())])
    classes = sorted(set(y))

    def distance(part: Any) -> float:
        have = np.array([(y[part] == c).sum() for c in classes])
        left = np.array([(y == c).sum() for c in classes]) - have
        # A class missing from val is better than a class missing from train.
        lacks = len(y) * (have == 0).sum() + len(y) ** 2 * (left == 0).sum()
        # Among equally complete candidates, `stable` takes the first: the closest could change with every added video.
        return float(lacks if scheme == "stable" else np.abs(have - wanted).sum() + lacks)

    if units < 2:
        raise _LacksClass("only one group is left for train and val: add groups")
    return min((part for _, part in _parts(y, g, scheme, parts, seed)), key=distance)


class _StratifiedGroupKFold(StratifiedGroupKFold):  # type: ignore[misc] # scikit-learn has no types
    """Scikit-learn's folds to the last video, with the folds compared at once: a million videos take minutes less."""

    def _find_best_fold(self, y_counts_per_fold: Array, y_cnt: Array, group_y_counts: Array) -> int:
        own = np.arange(len(y_counts_per_fold))
        proposed = np.repeat(y_counts_per_fold[None], len(own), axis=0)
        proposed[own, own] += group_y_counts
        uneven = np.std(proposed / y_cnt, axis=1).mean(axis=1).tolist()
        held = y_counts_per_fold.sum(axis=1).tolist()
        best = 0
        for fold in range(1, len(own)):
            close = abs(uneven[fold] - uneven[best]) <= 1e-8 + 1e-5 * uneven[best]  # as `np.isclose`
            if uneven[fold] < uneven[best] or (close and held[fold] < held[best]):
                best = fold
        return best


def _parts(y: Array, g: Array, scheme: str, parts: int, seed: int) -> Parts:
    """Divide the videos into parts, stratified by class as far as whole groups allow."""
    if scheme == "stable":
        part = assign_stably(y, g, parts, seed)
        return [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(parts)]
    if scheme == "leave_one_group_out":
        return list(LeaveOneGroupOut().split(y, y, g))
    random = scheme == "random"
    if max(Counter(y).values()) < parts:
        logger.warning(
            "no class has %d videos, one per part: parts are assigned by %s alone, ignoring the class",
            parts,
            "video" if random else "group",
        )
        splitter = (KFold if random else GroupKFold)(n_splits=parts, shuffle=True, random_state=seed)
    else:
        splitter = (StratifiedKFold if random else _StratifiedGroupKFold)(
            n_splits=parts, shuffle=True, random_state=seed
        )
    with warnings.catch_warnings():  # it warns of classes smaller than the number of parts; `assign` logs the outcome
        warnings.simplefilter("ignore", UserWarning)
        return list(splitter.split(np.zeros(len(y)), y, g))


def assign_stably(y: Array, g: Array, parts: int, seed: int) -> Array:
    """Divide the videos into stratified parts of whole groups, so that an added video changes little.

    The hash of its name assigns each group to a part. Then, as long as this brings the parts' shares of all classes
    clearly closer together, the group with the largest gain moves to another part. Most groups stay where their hash
    put them, whatever is added.

    Args:
        y: class of each video.
        g: group of each video.
        parts: number of parts, at most the number of groups.
        seed: seed of the hash.

    Returns:
        The part of each video, int64 (videos,); every part has a group.
    """
    names, group = np.unique(g, return_inverse=True)
    _, label = np.unique(y, return_inverse=True)
    shares = np.zeros((len(names), label.max() + 1))
    np.add.at(shares, (group, label), 1)
    shares /= shares.sum(axis=0)
    part = np.array([stable_hash(f"{seed}/{name}") % parts for name in names], dtype=np.int64)
    held = np.zeros((parts, shares.shape[1]))
    np.add.at(held, part, shares)
    own = np.arange(len(names))

    def excess(each: Array) -> Array:
        return np.asarray(((each - 1 / parts) ** 2).sum(axis=-1))

    while True:
        members = np.bincount(part, minlength=parts)
        left = excess(held[part]) - excess(held[part] - shares)
        gain = left[:, None] + excess(held)[None] - excess(held[None] + shares[:, None])
        gain[:, members == 0] += 10  # fill empty parts first; never move the last group of a part
        gain[members[part] == 1] = -1
        gain[own, part] = -1
        best, to = divmod(int(np.argmax(gain)), parts)
        if gain[best, to] < _WORTH_MOVING:
            return np.asarray(part[group])
        held[part[best]] -= shares[best]
        held[to] += shares[best]
        part[best] = to


_WITHOUT = {
    "test": "class %r is too small for every fold: the test split of fold %s has none of it, so metrics of these folds "
    "are undefined or cover the other classes only; pooled metrics count every video",
    "val": "class %r is too small for every fold: the val split of fold %s has none of it, so epochs, thresholds and "
    "temperatures are chosen without it",
}


def _warn_of_small_classes(y: Array, folds: Sequence[Sequence[str]], splits: Sequence[str]) -> None:
    for split in splits:
        for label, lacking in _lacking(y, folds, split):
            logger.warning(_WITHOUT[split], label, ", ".join(map(str, lacking)))


def _lacking(y: Array, folds: Sequence[Sequence[str]], split: str) -> Iterator[tuple[str, list[int]]]:
    for label in sorted(set(y)):
        mine = np.flatnonzero(y == label)
        lacking = [fold for fold, splits in enumerate(folds) if not (np.asarray(splits)[mine] == split).any()]
        if lacking:
            yield str(label), lacking
