"""What must stay together: the manifest's groups, and where it gives none, proposed ones. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

Pair = tuple[str, str]
"""Ids of two videos."""

PATTERNS: Mapping[str, Callable[[str], str]] = {
    "name up to its last number": lambda name: re.sub(
        r"[\W_]*(?:[a-z]{1,5})?[\W_]*\d+\D*$", "", _stem(name), flags=re.I
    ),
    "name up to its last separator": lambda name: re.sub(r"[-_. ][^-_. /]*$", "", _stem(name)),
    "folder": lambda name: name.rpartition("/")[0],
}
"""Ways in which clips of one recording are often named, each with what it makes of a path."""

_LARGEST = 0.2  # share of the videos that one group of a pattern may have: a larger one is a class, not a recording
_SHARED = 0.5  # share of the videos that must share their group with another
_BETTER_THAN_CHANCE = 2.0  # how much more often than by chance near duplicates must lie in one group of a pattern


def resolve_groups(
    videos: Sequence[Mapping[str, Any]], pairs: Iterable[Pair], *, merge: bool, least: int
) -> tuple[list[str], dict[str, Any]]:
    """Settle which videos stay together.

    Files of identical content always do. A video without a group in the manifest joins all that it shows the same as,
    and those that its name says it belongs to.

    Args:
        videos: with `id`, `digest` and `group`: None where the manifest has none; no group is called like the id of one
            of those.
        pairs: of videos that show the same.
        merge: whether also the manifest's own groups are put together where they show the same.
        least: groups that names must make, for a pattern of them to be believed.

    Returns:
        The group of each video; of several that were put together, the first in the alphabet. And what `audit.json` has
        under `groups`.
    """
    group = {video["id"]: video["id"] if video["group"] is None else video["group"] for video in videos}
    alone = {video["id"] for video in videos if video["group"] is None}
    pairs = [pair for pair in pairs if pair[0] in group and pair[1] in group]
    pattern, named, evidence = find_pattern(sorted(alone), pairs, least)
    copies = _chains((video["digest"], group[video["id"]]) for video in videos)
    by_name = _chains((key, group[each]) for each, key in named.items())
    by_picture = [(group[a], group[b]) for a, b in pairs if merge or a in alone or b in alone]
    leader = join(group.values(), [*copies, *by_name, *by_picture])
    settled = [leader[group[video["id"]]] for video in videos]
    size = Counter(settled)
    facts = {
        "source": "both" if 0 < len(alone) < len(group) else "proposed" if alone else "manifest",
        "count": len(size),
        "joined": sum(size[leader[group[each]]] > 1 for each in alone),
        "by_name": len({each for link in by_name for each in link} & alone),
        "by_picture": len({each for link in by_picture for each in link} & alone),
        "pattern": pattern,
    }
    return settled, facts | evidence


def find_pattern(ids: Sequence[str], pairs: Sequence[Pair], least: int) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Find a pattern of names that tells recordings apart, if there is one.

    It must make at least `least` groups, none with more than a fifth of the videos, and leave no more than half of them
    alone. Pictures must not speak against it: near duplicates lie within one group of it clearly more often than by
    chance.

    Args:
        ids: of videos that have no group.
        pairs: of videos that show the same.
        least: number of groups.

    Returns:
        Its name, "" if none is fit; id -> group by that name; `pairs_within` and `by_chance`, see `leakage.audit`.
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
    """Put names that are linked, also over others, together.

    Returns:
        Name -> the first in the alphabet of those it is linked to.

    >>> join("abcd", [("d", "c"), ("b", "d")])
    {'a': 'a', 'b': 'b', 'c': 'b', 'd': 'b'}
    """
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = name = leader[leader[name]]
        return name

    for one, other in links:
        first, second = sorted((find(one), find(other)))
        leader[second] = first
    return {name: find(name) for name in leader}


def _chains(keyed: Iterable[Pair]) -> list[Pair]:
    """Links between the names that have a key in common."""
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
