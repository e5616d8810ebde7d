"""Who is trained on, chosen by and tested in each fold: pure."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from clipfold.storage.files import Array

if TYPE_CHECKING:  # the settings themselves are parameters of the job; the code that checks them changes nothing
    from clipfold.settings import SplitSettings

logger = logging.getLogger(__name__)

Parts = list[tuple[Any, Any]]
"""Indices of the rest and of the part itself, for each part."""

_ATTEMPTS = 20

_WORTH_MOVING = 3e-4
"""Gain in balance, a sum of squared shares, that is worth moving a group for: parts come within some 6 % of each other.

Without it, parts would be as equal as scikit-learn's, and an added video would move half as many again.
"""


def assign(
    labels: Sequence[str], groups: Sequence[str], settings: SplitSettings, seed: int, given: Sequence[str] | None = None
) -> list[list[str]]:
    """Give each video a split in each fold.

    Folds are dealt by `settings.scheme`, and the validation part inside the training part of each in the same way
    (grouped, for the schemes that have none of their own). Fold numbers run on over repeats.

    Args:
        labels: class of each video.
        groups: group of each video.
        settings: scheme, number of folds and repeats, share of the validation part.
        seed: of the dealing.
        given: split of each video in the manifest, for the scheme `column`.

    Returns:
        Per fold, the split of each video: `train`, `val` or `test`. Except with the scheme `column`, each video is in
        `test` in exactly one fold of each repeat.

    Raises:
        ValueError: fewer groups than folds, or a fold whose training part lacks a class.
    """
    y, g = np.asarray(labels), np.asarray(groups)
    if settings.scheme == "column":
        assert given is not None
        return [_complete(y, g, np.array(given, object), settings, seed)]
    units = len(set(groups)) if settings.scheme != "random" else len(groups)
    if settings.scheme != "leave_one_group_out" and units < settings.folds:
        raise ValueError(
            f"splits.folds is {settings.folds}, but usable videos are left in {units} groups only: "
            "use fewer folds, or see logs/splits.log for what was lost and why"
        )
    folds: list[list[str]] = []
    for _ in range(settings.repeats):
        folds += _assign_once(y, g, settings, seed + len(folds), len(folds))
    _warn_of_small_classes(y, folds, ("val",) if settings.scheme == "leave_one_group_out" else ("test", "val"))
    return folds


def _assign_once(y: Array, g: Array, settings: SplitSettings, seed: int, first: int) -> list[list[str]]:
    """Folds of one repeat; where a training part lacks a class, dealt anew, as far as that helps."""
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
                logger.warning("%s: all folds are dealt anew, with another seed", why)
            return folds
    raise AssertionError("the last attempt returns or raises")


class _LacksClass(ValueError):
    """There is nothing of a class to train with."""


def _complete(y: Array, g: Array, splits: Array, settings: SplitSettings, seed: int, fold: int = 0) -> list[str]:
    """Take the validation part out of the training part, where there is none yet."""
    rest = np.flatnonzero(splits == "train")
    if not (splits == "val").any() and len(rest):
        scheme = settings.scheme if settings.scheme in ("random", "stable") else "grouped"
        splits[rest[_validation(y[rest], g[rest], settings.validation, scheme, seed)]] = "val"
    lacking = set(y) - set(y[splits == "train"])
    if lacking:
        raise _LacksClass(
            f"fold {fold} has no {', '.join(repr(str(label)) for label in sorted(lacking))} to train with: "
            "the class is in too few groups; add groups, or use another number of folds (splits.folds)"
        )
    return list(splits)


def _validation(y: Array, g: Array, share: float, scheme: str, seed: int) -> Any:
    """Indices of the validation part: of the possible ones, that whose size and mix of classes is nearest to asked."""
    units = len(set(g)) if scheme != "random" else len(g)
    parts = max(2, min(round(1 / share), units))
    wanted = np.array([share * count for _, count in sorted(Counter(y).items())])
    classes = sorted(set(y))

    def distance(part: Any) -> float:
        have = np.array([(y[part] == c).sum() for c in classes])
        left = np.array([(y == c).sum() for c in classes]) - have
        # Rather no video of a class to choose by than none to learn from.
        lacks = len(y) * (have == 0).sum() + len(y) ** 2 * (left == 0).sum()
        # Of equally complete ones, `stable` keeps the first: the nearest may be another as soon as a video is added.
        return float(lacks if scheme == "stable" else np.abs(have - wanted).sum() + lacks)

    if units < 2:
        raise _LacksClass("one group only is left to train with: there is none to choose by; add groups")
    return min((part for _, part in _parts(y, g, scheme, parts, seed)), key=distance)


def _parts(y: Array, g: Array, scheme: str, parts: int, seed: int) -> Parts:
    """Cut the videos into parts, stratified by class as far as whole groups allow."""
    if scheme == "stable":
        part = assign_stably(y, g, parts, seed)
        return [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(parts)]
    if scheme == "leave_one_group_out":
        return list(LeaveOneGroupOut().split(y, y, g))
    random = scheme == "random"
    if max(Counter(y).values()) < parts:
        logger.warning(
            "no class has %d videos, one for each part: parts are dealt by %s alone, whatever the class",
            parts,
            "video" if random else "group",
        )
        splitter = (KFold if random else GroupKFold)(n_splits=parts, shuffle=True, random_state=seed)
    else:
        splitter = (StratifiedKFold if random else StratifiedGroupKFold)(
            n_splits=parts, shuffle=True, random_state=seed
        )
    with warnings.catch_warnings():  # it warns of classes with fewer members than parts; `assign` says what came of it
        warnings.simplefilter("ignore", UserWarning)
        return list(splitter.split(np.zeros(len(y)), y, g))


def assign_stably(y: Array, g: Array, parts: int, seed: int) -> Array:
    """Cut the videos into stratified parts of whole groups, such that a further video changes little.

    Each group goes where the hash of its name says; then, as long as that brings the parts' shares of all classes
    clearly closer to each other, the one group that does so most goes to another part. Most groups stay where their
    hash put them, whatever is added.

    Args:
        y: class of each video.
        g: group of each video.
        parts: how many, at most as many as there are groups.
        seed: of the hash.

    Returns:
        The part of each video, int64 of (videos,); every part has a group.
    """
    names, group = np.unique(g, return_inverse=True)
    _, label = np.unique(y, return_inverse=True)
    shares = np.zeros((len(names), label.max() + 1))
    np.add.at(shares, (group, label), 1)
    shares /= shares.sum(axis=0)
    part = np.array([_hash(f"{seed}/{name}") % parts for name in names], dtype=np.int64)
    held = np.zeros((parts, shares.shape[1]))
    np.add.at(held, part, shares)
    own = np.arange(len(names))

    def excess(each: Array) -> Array:
        return np.asarray(((each - 1 / parts) ** 2).sum(axis=-1))

    while True:
        members = np.bincount(part, minlength=parts)
        left = excess(held[part]) - excess(held[part] - shares)
        gain = left[:, None] + excess(held)[None] - excess(held[None] + shares[:, None])
        gain[:, members == 0] += 10  # an empty part is filled first, and the last group of a part stays
        gain[members[part] == 1] = -1
        gain[own, part] = -1
        best, to = divmod(int(np.argmax(gain)), parts)
        if gain[best, to] < _WORTH_MOVING:
            return np.asarray(part[group])
        held[part[best]] -= shares[best]
        held[to] += shares[best]
        part[best] = to


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


_WITHOUT = {
    "test": "class %r is too small for every fold: there is none of it in the test part of fold %s, so that metrics of "
    "these folds are undefined or of the other classes alone; pooled metrics count every video",
    "val": "class %r is too small for every fold: there is none of it in the validation part of fold %s, so that "
    "epochs, thresholds and temperatures are chosen there without it",
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
