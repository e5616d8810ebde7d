"""Expand entries of `models:` that choose in each fold: `select: [candidates]`, and grids over settings of networks.

Standard library only: every start reads it.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

from clipfold.checks import require, suggest
from clipfold.models.architecture import Architecture
from clipfold.models.declare import grid_values

Entry: TypeAlias = str | Mapping[str, Any]
Known: TypeAlias = Mapping[str, Architecture]

_RESOURCES = ("memory_mb", "gpus", "threads", "runtime", "fits_per_gpu")


def expand(entries: Sequence[Entry], known: Known) -> list[tuple[Entry, str]]:
    """Replace entries that choose by their candidates and an ensemble that gives one of them all the weight.

    Models on features choose between the values of their own grids, in one fit.

    Args:
        entries: Of `models:`.
        known: The architectures by name.

    Returns:
        Entries without `select`, and without grids over settings of networks; each with the name of the entry that it
        is a candidate of, if it is fitted for that one only.

    Raises:
        ValueError: A candidate is unknown, or chooses or mixes itself; there are fewer than two; a select has settings;
            a grid is over `refit`, which validation videos cannot choose.
    """
    found: list[tuple[Entry, str]] = []
    for entry in entries:
        name = name_of(entry)
        if isinstance(entry, Mapping) and "select" in entry:
            candidates = _candidates(name, entry, entries, known)
            own = {key: value for key, value in entry.items() if key in _RESOURCES}
        elif len(combined := _combined(entry, known)) > 1:
            candidates, own = combined, {}
        else:
            found.append((entry, ""))
            continue
        made = [v if isinstance(v, str) else {"name": f"{name}__{i}"} | v for i, v in enumerate(candidates, 1)]
        found += [(each, name) for each in made if not isinstance(each, str)]
        members = [name_of(each) for each in made]
        found.append(({"architecture": "ensemble", "name": name, "members": members, "mix": "best"} | own, ""))
    return found


def name_of(entry: Entry) -> str:
    """Return the name of an entry: by default its architecture's."""
    if isinstance(entry, str):
        return entry
    return str(entry.get("name", entry.get("architecture", "select" if "select" in entry else "")))


def _candidates(name: str, entry: Mapping[str, Any], entries: Sequence[Entry], known: Known) -> list[Any]:
    """List the candidates of a select: names of other entries, and entries of its own."""
    where = f"models: {name}: select"
    for key in entry.keys() - {"name", "select", *_RESOURCES}:
        raise ValueError(f"models: {name}: {key} is not a setting of a select: set it in its candidates")
    given = entry["select"]
    require(
        isinstance(given, list), where, given, "list names of other entries, or entries such as {architecture: svm}"
    )
    others = {name_of(other): other for other in entries if other is not entry}
    found: list[Any] = []
    for candidate in given:
        named = isinstance(candidate, str) and candidate in others
        meant: Any = (
            others[candidate] if named else {"architecture": candidate} if isinstance(candidate, str) else candidate
        )
        require(
            isinstance(meant, str | Mapping), where, candidate, "use the name of an entry, or a mapping of settings"
        )
        chooses = isinstance(meant, Mapping) and "select" in meant
        chooses = chooses or (named and len(_combined(meant, known)) > 1)
        require(not chooses, where, candidate, "it is a select or grid itself: list its candidates instead")
        architecture = meant if isinstance(meant, str) else meant.get("architecture")
        if architecture not in [*known]:
            raise ValueError(f"{where} is {candidate!r}: {suggest(architecture, [*others, *known])}")
        mixes = known[str(architecture)].input == "predictions"
        require(not mixes, where, candidate, "an ensemble has learned from the videos to choose by: name its members")
        found += [candidate] if named else _combined(meant, known)
    several = len(found) > 1 and len({repr(each) for each in found}) == len(found)
    require(several, where, given, "name two or more candidates, each once")
    return found


def _combined(entry: Entry, known: Known) -> list[Entry]:
    """List an entry of a network for each combination of the values of its grids; other entries are left alone."""
    if isinstance(entry, str) or entry.get("architecture") not in [*known]:
        return [entry]
    architecture = known[entry["architecture"]]
    if architecture.input != "clips":
        return [entry]
    grids = {
        key: grid_values(f"models: {name_of(entry)}: {key}", value)
        for key, value in entry.items()
        if key in architecture.declared and isinstance(value, Mapping)
    }
    alike = "the same network predicts the validation videos with and without it: compare two entries instead"
    require("refit" not in grids, f"models: {name_of(entry)}: refit", entry.get("refit"), alike)
    return [{**entry, **dict(zip(grids, values, strict=True))} for values in product(*grids.values())]
