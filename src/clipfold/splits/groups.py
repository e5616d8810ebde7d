"""Decide which videos stay together: the manifest's groups, or proposed groups where it gives none. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from clipfold.leakage.disjoint_sets import DisjointSets

Pair = tuple[str, str]
"""Ids of two videos."""

PATTERNS: Mapping[str, Callable[[str], str]] = {
    "name up to its last number": lambda name: re.sub(
        r"[\W_]*(?:[a-z]{1,5})?[\W_]*\d+\D*$", "", _stem(name), flags=re.I
    ),
    "name up to its last separator": lambda name: re.sub(r"[-_. ][^-_. /]*$", "", _stem(name)),
    "folder": lambda name: name.rpartition("/")[0],
}
"""Common naming patterns for clips of one recording: name -> function from a path to its group."""

_LARGEST = 0.2  # largest share of the videos in one group of a pattern: a larger group is a class, not a recording
_SHARED = 0.5  # least share of the videos that are not alone in their group
_BETTER_THAN_CHANCE = 2.0  # near duplicates must lie in one group this many times as often as by chance


def resolve_groups(
    videos: Sequence[Mapping[str, Any]], pairs: Iterable[Pair], *, merge: bool, least: int
) -> tuple[list[str], dict[str, Any]]:
    """Decide which videos stay together.

    Duplicates always do. A video without a group in the manifest is with the other segments of its file, if it is one
    of several; it also joins its near duplicates and the videos that its name matches.

    Args:
        videos: usable videos with `id`, `digest` and `group`, None if the manifest has none, then with `source`, the
            name of the file of segments, else the id. No group has the same name as such a source.
        pairs: near-duplicate pairs.
        merge: also merge groups of the manifest that contain near duplicates of each other.
        least: least number of groups for a naming pattern to be accepted.

    Returns:
        The group of each video (merged groups get the alphabetically first name), and the content of `groups` in
        `audit.json`.
    """
    group = {video["id"]: video["source"] if video["group"] is None else video["group"] for video in videos}
    alone = {video["id"] for video in videos if video["group"] is None}
    pairs = [pair for pair in pairs if pair[0] in group and pair[1] in group]
    sources = {group[each] for each in alone}
    apart = [(group[a], group[b]) for a, b in pairs if group[a] != group[b]]
    pattern, named, evidence = find_pattern(sorted(sources), apart, least)
    duplicates = _chains((video["digest"], group[video["id"]]) for video in videos)
    by_name = _chains((key, source) for source, key in named.items())
    by_picture = [(group[a], group[b]) for a, b in pairs if merge or a in alone or b in alone]
    leader = join(group.values(), [*duplicates, *by_name, *by_picture])
    groups = [leader[group[video["id"]]] for video in videos]
    size = Counter(groups)
    linked_by_name = {each for link in by_name for each in link}
    linked_by_picture = {each for link in by_picture if link[0] != link[1] for each in link}
    facts = {
        "source": "both" if 0 < len(alone) < len(group) else "proposed" if alone else "manifest",
        "count": len(size),
        "joined": sum(size[leader[group[each]]] > 1 for each in alone),
        "by_name": sum(group[each] in linked_by_name for each in alone),
        "by_picture": sum(group[each] in linked_by_picture for each in alone),
        "pattern": pattern,
    }
    return groups, facts | evidence


def find_pattern(ids: Sequence[str], pairs: Sequence[Pair], least: int) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Find a naming pattern that tells recordings apart, if there is one.

    It must give at least `least` groups, none with more than a fifth of the videos, and leave at most half of the
    videos alone in their group. The content must not contradict it: near duplicates must share a group
    clearly more often than by chance.

    Args:
        ids: ids of the videos without a group.
        pairs: near-duplicate pairs.
        least: least number of groups.

    Returns:
        The name of the pattern, "" if none fits; id -> group; `pairs_within` and `by_chance`, see `leakage.audit`.
    """
    own = set(ids)
    pairs = [pair for pair in pairs if own.issuperset(pair)]
    for pattern, key in PATTERNS.items():
        named = {each: key(each) for each in ids}
        size = Counter(named.values())
        if len(size) < least or max(size.values()) > max(2, _LARGEST * len(ids)):
            continue
        if sum(count for count in size.values() if count > 1) < _SHARED * len(ids):
            continue
        chance = sum(count * (count - 1) for count in size.values()) / (len(ids) * (len(ids) - 1))
        within = sum(named[a] == named[b] for a, b in pairs) / len(pairs) if pairs else None
        if within is None or within >= _BETTER_THAN_CHANCE * chance:
            return pattern, named, {"pairs_within": within, "by_chance": chance}
    return "", {}, {"pairs_within": None, "by_chance": None}


def join(names: Iterable[str], links: Iterable[Pair]) -> dict[str, str]:
    """Merge names that are linked, directly or through other names.

    Returns:
        Name -> the alphabetically first name of its set.

    >>> join("abcd", [("d", "c"), ("b", "d")])
    {'a': 'a', 'b': 'b', 'c': 'b', 'd': 'b'}
    """
    ordered = sorted(set(names))
    number = {name: i for i, name in enumerate(ordered)}
    sets = DisjointSets(len(ordered))
    for one, other in links:
        sets.join(number[one], number[other])
    return {name: ordered[sets.find(i)] for name, i in number.items()}


def _chains(keyed: Iterable[Pair]) -> list[Pair]:
    """Link the names that share a key."""
    holders: dict[str, list[str]] = defaultdict(list)
    for key, name in keyed:
        holders[key].append(name)
    return list(_links(holders.values()))


def _links(sets: Iterable[Sequence[str]]) -> Iterator[Pair]:
    for members in sets:
        yield from pairwise(members)


def _stem(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)
