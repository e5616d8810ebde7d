"""Error messages for wrong values: name, value, remedy. Standard library only."""

import difflib
from collections.abc import Iterable


class MissingLibrary(ValueError):
    """A library of one of clipfold's extras is not installed."""


def require(condition: bool, name: str, value: object, remedy: str) -> None:
    """Raise the error that users see for a wrong value.

    Raises:
        ValueError: `condition` is false.
    """
    if not condition:
        raise ValueError(f"{name} is {value!r}: {remedy}")


def suggest(name: object, known: Iterable[str]) -> str:
    """Suggest a known name for an unknown one: the most similar, or all of them if none is similar.

    >>> suggest("gama", ["C", "gamma"]), suggest("foo", ["C", "gamma"])
    ("did you mean 'gamma'?", 'use one of C, gamma')
    """
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]!r}?" if close else f"use one of {', '.join(by_lower.values())}"
