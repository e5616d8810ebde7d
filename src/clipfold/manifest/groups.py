"""Rows that name several groups: those that share any value stay together. Standard library only."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from clipfold.leakage.disjoint_sets import DisjointSets
from clipfold.manifest.names import plain

SEPARATOR = ";"
"""Separates the values of a cell, by default."""

_GIANT = 0.5  # a group with a larger share of the rows leaves nothing to test with

Values = tuple[str, ...]
"""The groups that a row names, such as the two people of a fake."""


def is_group(column: str, group: str) -> bool:
    """Return whether a column holds groups: the column `group` itself, or `group_1`, `group_2`...

    >>> [is_group(each, "person") for each in ("person", "person_2", "person_name", "group")]
    [True, True, False, False]
    """
    return re.fullmatch(re.escape(group) + r"(_\d+)?", column) is not None


def read_values(cells: Iterable[str], separator: str) -> Values:
    """Return the groups that the cells of a row name, each once, in their order.

    Args:
        cells: Those of the columns that `is_group` finds.
        separator: Separates several in one cell; "" if a cell is one, whatever it holds.
    """
    parts = [part for cell in cells for part in (cell.split(separator) if separator else [cell])]
    return tuple(dict.fromkeys(filter(None, map(plain, parts))))


def components(rows: Iterable[Values]) -> dict[str, str]:
    """Join the values that rows share, directly or through other rows.

    Returns:
        Value -> the alphabetically first value of its component.

    >>> components([("000", "003"), ("003",), ("007",)])
    {'000': '000', '003': '000', '007': '007'}
    """
    rows = list(rows)
    ordered = sorted({value for values in rows for value in values})
    number = {value: i for i, value in enumerate(ordered)}
    sets = DisjointSets(len(ordered))
    for values in rows:
        for other in values[1:]:
            sets.join(number[values[0]], number[other])
    return {value: ordered[sets.find(i)] for value, i in number.items()}


def grouping_notes(rows: Sequence[Values]) -> tuple[str, str]:
    """Say how many groups the values make, and warn of a giant one; empty where no row names several.

    Args:
        rows: The groups that each row names.

    Returns:
        What is so, and what may be wrong, with the value that does it; the latter may be empty.
    """
    if max(map(len, rows), default=0) < 2:
        return "", ""
    name = components(rows)
    size = Counter(name[values[0]] for values in rows if values)
    said = f"{len(name)} values of group make {len(size)} groups, since rows that share a value stay together"
    giant, count = size.most_common(1)[0]
    if count <= _GIANT * len(rows):
        return said, ""
    chained = [values for values in rows if values and name[values[0]] == giant]
    if not any(len(values) > 1 for values in chained):
        return said, ""
    value, left = weakest_link(chained)
    alone = (
        f"without {value!r} the largest group of these would have {left} rows: if that names no recording or person, "
        "remove it from the cells"
        if left <= count / 2
        else f"they chain through many values, of which {_commonest(chained)} are in most rows: "
        "check whether these name recordings or people"
    )
    return said, f"{count} of {len(rows)} rows are in one group, which only one fold can test; {alone}"


def _commonest(rows: Iterable[Values]) -> str:
    count = Counter(value for values in rows for value in values)
    return ", ".join(repr(value) for value, _ in count.most_common(3))


def weakest_link(rows: Sequence[Values]) -> tuple[str, int]:
    """Find the value without which the rows of one component fall apart most.

    A depth-first search of the graph of rows and values finds, for each value, the parts that only it connects
    (articulation points, Hopcroft and Tarjan 1973).

    Args:
        rows: The groups of each row of one component, none empty.

    Returns:
        The value, and the rows of the largest part without it; of equal ones, the alphabetically first.
    """
    holders: dict[str, list[int]] = {}
    for row, values in enumerate(rows):
        for value in values:
            holders.setdefault(value, []).append(row)
    root: str | int = min(holders)
    seen: dict[str | int, int] = {root: 0}  # order of discovery
    low: dict[str | int, int] = {root: 0}  # the earliest that a node and those below it lead back to
    below: dict[str | int, int] = {root: 0}  # rows at a node and below it
    parts: dict[str, list[int]] = {value: [] for value in holders}  # rows of the parts that hang on a value alone

    def near(node: str | int) -> Iterator[str | int]:
        return iter(holders[node] if isinstance(node, str) else rows[node])

    stack: list[tuple[str | int, Iterator[str | int]]] = [(root, near(root))]
    while stack:
        node, rest = stack[-1]
        for other in rest:
            if other not in seen:
                seen[other] = low[other] = len(seen)
                below[other] = isinstance(other, int)
                stack.append((other, near(other)))
                break
            low[node] = min(low[node], seen[other])
        else:
            stack.pop()
            if stack:
                parent = stack[-1][0]
                low[parent] = min(low[parent], low[node])
                below[parent] += below[node]
                if isinstance(parent, str) and low[node] >= seen[parent]:
                    parts[parent].append(below[node])
    largest = {value: max(*own, len(rows) - sum(own), 0) for value, own in parts.items() if own}
    largest = largest or {min(holders): len(rows)}
    value = min(largest, key=lambda each: (largest[each], each))
    return value, largest[value]
