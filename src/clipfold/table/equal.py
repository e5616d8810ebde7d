"""Find equal and nearly equal rows: copies, which must not be trained on and tested with.

In a table of few or rounded values, different things have equal rows, and rightly so: two flowers may have the same
four measures. How many pairs are equal by chance follows from the pairs that differ in one column only: if values of a
column meet by chance with probability c, then of the pairs that agree in all other columns c/(1-c) as many agree in
this one as differ. Where there are clearly more, rows were copied.

A row is nearly equal to another if all categories and gaps are the same, and its numbers are so near that chance would
bring about one such pair in twenty tables: the distances to the nearest rows tell in how many dimensions the data
spread (Facco et al. 2017, https://doi.org/10.1038/s41598-017-11873-y), and so how rare near pairs are.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.spatial import cKDTree
from scipy.stats import poisson

from clipfold.storage.files import Array, PathLike, read_table, write_table
from clipfold.table.rows import content, is_empty

logger = logging.getLogger(__name__)

ROWS = pa.schema(
    {
        "id": pa.string(),
        "status": pa.string(),  # `ok`, or `empty` if no cell has a value
        "reason": pa.string(),
        "size_bytes": pa.int64(),  # 1: a row is a part of a file
        "digest": pa.string(),  # the same for copies
        "content": pa.string(),  # the same for equal rows, see `rows.content`
        "row": pa.int64(),  # None if the row cannot be used
    }
)
"""Columns of the table of rows, which the splits read in place of those of probing and decoding."""

MATCHES = pa.schema(
    {
        "first": pa.string(),  # ids, in alphabetical order
        "second": pa.string(),
        "change": pa.string(),  # `nearly equal`
        "score": pa.float64(),  # 1 minus the distance as a share of the usual distance to the nearest row
        "first_frame": pa.int16(),  # 0: see `clipfold.leakage.matches.SCHEMA`, which this is
        "second_frame": pa.int16(),
    }
)

_CERTAIN = 0.01  # probability below which equal rows are no chance
_TIMES = 2  # how many times as many as expected they are then, at least: the expectation is rough
_BY_CHANCE = 0.05  # expected number of pairs that chance makes nearly equal
_NEAREST = 0.01  # largest distance of nearly equal rows, as a share of the usual one
_SAMPLED = 1000  # rows whose nearest rows are searched among all
_PARTNERS = 5  # nearest rows of each row that are looked at
_PROJECTED = 8  # dimensions in which near rows are searched


@dataclass(frozen=True, slots=True)
class Equal:
    """Equal rows of a table.

    Args:
        pairs: Number of pairs of equal rows.
        expected: Number that chance explains.
        copied: Whether there are clearly more.
    """

    pairs: int
    expected: float
    copied: bool


def match_rows(features: Sequence[PathLike], rows: PathLike, matches: PathLike) -> None:
    """Write the table of rows and the pairs of nearly equal ones.

    Args:
        features: Tables of features, by shard.
        rows: Table of `ROWS` to write.
        matches: Table of `MATCHES` to write.
    """
    table = read_table(features).to_pandas().sort_values("id", ignore_index=True)
    values = table.drop(columns="id")
    contents = [content(row) for row in values.to_dict("records")]
    empty = np.array([is_empty(row.values()) for row in values.to_dict("records")])
    used = values[~empty]
    equal = count_equal(used)
    by_chance = equal.pairs > 0 and not equal.copied
    if equal.pairs:
        what = "copies: they are kept in one group" if equal.copied else "chance: they are kept as they are"
        logger.info("%d pairs of equal rows, %.1f by chance: %s", equal.pairs, equal.expected, what)
    ids = table.id.tolist()
    found = [
        {"id": name, "status": "ok", "reason": "", "size_bytes": 1, "content": same, "row": number}
        | {"digest": content({"id": name, "content": same}) if by_chance else same}
        | ({"status": "empty", "reason": "no cell has a value", "row": None, "digest": ""} if gone else {})
        for number, (name, same, gone) in enumerate(zip(ids, contents, empty, strict=True))
    ]
    write_table(rows, found, ROWS)
    places = np.flatnonzero(~empty)
    pairs = [
        dict(zip(("first", "second"), sorted((ids[places[x]], ids[places[y]])), strict=True))
        | {"change": "nearly equal", "score": score, "first_frame": 0, "second_frame": 0}
        for x, y, score in find_pairs(used)
    ]
    write_table(matches, sorted(pairs, key=lambda row: (row["first"], row["second"])), MATCHES)
    logger.info("%d rows: %d nearly equal pairs", len(ids), len(pairs))


def count_equal(values: pd.DataFrame) -> Equal:
    """Count pairs of equal rows, and estimate how many of them are chance."""
    codes = [pd.factorize(values[name], use_na_sentinel=False)[0] for name in values]
    rng = np.random.default_rng(0)
    # The hash of a row is the sum of those of its cells: without a column, it is a difference.
    hashes = [rng.integers(0, 2**64, code.max(initial=-1) + 1, np.uint64)[code] for code in codes]
    total = np.asarray(np.sum(hashes, axis=0, dtype=np.uint64))
    pairs = _pairs(total)
    estimates = [0.0]
    for own in hashes:
        meeting = _pairs(own) / max(1, len(own) * (len(own) - 1) / 2)
        if meeting < 1:
            estimates.append((_pairs(total - own) - pairs) * meeting / (1 - meeting))
    # Copies let the values of a continuous column meet, and a column that repeats another seems never to do so.
    expected = float(np.median(estimates[1:] or estimates))
    copied = pairs > _TIMES * expected and float(poisson.sf(pairs - 1, expected)) < _CERTAIN
    return Equal(pairs, expected, copied)


def _pairs(hashes: Array) -> int:
    """Count the pairs of equal entries."""
    counts = np.unique(hashes, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def find_pairs(values: pd.DataFrame) -> list[tuple[int, int, float]]:
    """Find pairs of rows that are nearly, but not quite, equal.

    Args:
        values: Columns of numbers, with NaN, and of text.

    Returns:
        Rows of each pair and its score, see `MATCHES`; of many near rows, only the nearest to each.
    """
    numbers = values.select_dtypes("number").to_numpy(np.float64)
    spread = _spread(numbers)
    numbers, spread = numbers[:, spread > 0], spread[spread > 0]
    known = np.isfinite(numbers)
    texts = [pd.factorize(values[name])[0] for name in values.select_dtypes(exclude="number")]
    points = np.where(known, numbers / spread, 0)
    if len(points) < 3 or not points.shape[1]:
        return []
    other = np.unique(np.column_stack([*texts, known]), axis=0, return_inverse=True)[1].ravel()
    usual, limit = _usual_distance(np.unique(points, axis=0))
    if not limit:
        return []
    width = points.shape[1]
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(width, _PROJECTED)))[0] if width > _PROJECTED else None
    near = points if axes is None else points @ axes
    tree = cKDTree(near)
    partners = np.asarray(tree.query(near, k=min(_PARTNERS + 1, len(near)), distance_upper_bound=limit)[1])
    pairs = {(min(x, y), max(x, y)) for x, row in enumerate(partners) for y in row if x != y < len(near)}
    found = []
    for x, y in sorted(pairs):
        distance = float(np.linalg.norm(points[x] - points[y]))
        if 0 < distance <= limit and other[x] == other[y]:
            found.append((int(x), int(y), 1 - distance / usual))
    return found


def _spread(numbers: Array) -> Array:
    """Return the standard deviation of each column, 0 without two values."""
    if not len(numbers):
        return np.zeros(numbers.shape[1])
    known = np.where(np.isfinite(numbers).any(axis=0), numbers, 0)
    return np.asarray(np.nanstd(known, axis=0))


def _usual_distance(points: Array) -> tuple[float, float]:
    """Return the median distance of different rows to their nearest, and that up to which rows are nearly equal."""
    if len(points) < 3:
        return 0.0, 0.0
    chosen = np.random.default_rng(0).permutation(len(points))[:_SAMPLED]
    nearest: Any = []
    for part in np.array_split(chosen, max(1, len(chosen) * len(points) // 10**7)):
        squares = (points[part] ** 2).sum(1)[:, None] - 2 * points[part] @ points.T + (points**2).sum(1)
        nearest.append(np.sort(np.partition(squares, 2, axis=1)[:, :3], axis=1)[:, 1:])  # the first is the row itself
    first, second = np.sqrt(np.maximum(np.concatenate(nearest), 1e-300)).T
    ratio = float(np.median(second / first))
    dimensions = np.log(2) / np.log(ratio) if ratio > 1 else np.inf
    usual = float(np.median(first))
    rare = (_BY_CHANCE / len(points)) ** (1 / dimensions) if np.isfinite(dimensions) else 1.0
    return usual, usual * min(_NEAREST, rare)
