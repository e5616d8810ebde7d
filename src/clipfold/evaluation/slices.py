"""Find weak slices: subsets of videos that share a fact and have more errors than the rest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import t as student

from clipfold.evaluation.significance import LEVEL, holm, sign_flip
from clipfold.storage.files import Array, PathLike, read_table

SCHEMA = pa.schema(
    {
        "model": pa.string(),
        "fact": pa.string(),
        "slice": pa.string(),
        "videos": pa.int64(),
        "groups": pa.int64(),
        "error": pa.float64(),  # error rate in the slice
        "rest": pa.float64(),  # error rate of all other videos
        "p": pa.float64(),
        "p_holm": pa.float64(),  # corrected for all slices of the model
        "worse": pa.bool_(),  # significantly worse than the rest
        "leakage": pa.string(),  # the leaks allowed, `mark` of audit.json; "" if none
    }
)
LEAST_VIDEOS = 10
LEAST_GROUPS = 3
LEAST_OF_GROUP = 3  # videos of a group whose error rate says something of how groups vary
MOST_GROUPS = 1000
"""Groups that are tested, the largest: a correction for more leaves nothing to find."""
FEW_VALUES = 8  # numeric facts with more distinct values are cut into quarters
MOST_COLUMNS = 100
"""Columns of a table to slice by: a correction for more leaves nothing to find."""
_TABLE = "table."
_PROBED = ("id", "width", "height", "duration", "fps", "vfr", "codec", "has_audio", "encoder")
_MEASURED = {"brightness.mean": "brightness", "motion.speed_mean": "motion"}


def read_facts(
    ids: Sequence[str],
    metadata: Sequence[PathLike],
    features: Sequence[PathLike],
    extras: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Gather the facts to slice by.

    Args:
        ids: Video ids.
        metadata: Tables written by probing.
        features: Tables of handcrafted features.
        extras: `id` and the manifest's extra columns; empty if it has none.

    Returns:
        Table by id, in the order of `ids`: `size` as width and height in pixels (the number of pixels if there are many
        sizes), `duration` in seconds, `fps`, `vfr`, `codec`, `audio`, `encoder`, mean `brightness` in grey levels,
        `motion`, the logarithm of the mean speed in picture sizes per second, and the extra columns, as numbers if all
        values are. Of a table, its first `MOST_COLUMNS` columns and the extra ones.
    """
    facts = _of_table(ids, features) if _is_table(features) else _of_videos(ids, metadata, features)
    if extras:
        further = pd.DataFrame(extras).set_index("id").replace("", None)
        further.columns = [f"{name} (manifest)" if name in facts else name for name in further]
        facts = facts.join(further.apply(_numbers))
    return facts


def _is_table(features: Sequence[PathLike]) -> bool:
    return any(name.startswith(_TABLE) for name in pq.read_schema(features[0]).names)


def _of_table(ids: Sequence[str], features: Sequence[PathLike]) -> pd.DataFrame:
    names = [name for name in pq.read_schema(features[0]).names if name.startswith(_TABLE)][:MOST_COLUMNS]
    table: pd.DataFrame = read_table(features, ["id", *names]).to_pandas().set_index("id").loc[list(ids)]
    return table.replace("", None).rename(columns=lambda name: name.removeprefix(_TABLE))


def _of_videos(ids: Sequence[str], metadata: Sequence[PathLike], features: Sequence[PathLike]) -> pd.DataFrame:
    probed = read_table(metadata, _PROBED).to_pandas().set_index("id").loc[list(ids)]
    width, height = (probed[name].astype("Int64").astype(str) for name in ("width", "height"))
    size = width + "\N{MULTIPLICATION SIGN}" + height
    probed.insert(0, "size", size if size.nunique() <= FEW_VALUES else probed.width * probed.height)
    facts: pd.DataFrame = probed.drop(columns=["width", "height"]).rename(columns={"has_audio": "audio"})
    measured = read_table(features, ["id", *_MEASURED]).to_pandas().set_index("id").rename(columns=_MEASURED)
    return facts.join(measured)


def _numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Convert a column to numbers if all values are; infinity counts as missing, because no slice can bound it."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.where(np.isfinite(numbers)) if numbers.notna().equals(column.notna()) else column


def cut(facts: pd.DataFrame, groups: "pd.Series[str]") -> list[tuple[str, str, Array]]:
    """Cut the videos into slices by each fact: numbers with many values into quarters, all else by value.

    Args:
        facts: One row per video.
        groups: The group of each video, in the same order.

    Returns:
        Name of the fact, name of the slice, and its videos as a mask, bool of (videos,). Omits a slice if it, or the
        rest, has fewer than `LEAST_VIDEOS` videos or `LEAST_GROUPS` groups.
    """
    codes = groups.to_numpy(str)

    def large(side: Array) -> bool:
        return bool(side.sum() >= LEAST_VIDEOS and len(np.unique(codes[side])) >= LEAST_GROUPS)

    found = ((str(fact), *each) for fact in facts for each in _by_value(facts[fact]))
    return [(fact, name, inside) for fact, name, inside in found if large(inside) and large(~inside)]


def _by_value(column: "pd.Series[Any]") -> Iterator[tuple[str, Array]]:
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    counts = column.value_counts()
    if number and len(counts) > FEW_VALUES:
        # A common value gets a slice of its own; left among the quarters, it would swallow one or more of them.
        common = sorted(counts.index[counts >= column.count() / 4])
        yield from ((_number(value), (column == value).to_numpy(bool)) for value in common)
        quarters = pd.qcut(column.mask(column.isin(common)), 4, duplicates="drop")
        for quarter in quarters.cat.categories:
            inside = (quarters == quarter).to_numpy()
            yield f"{_number(column[inside].min())} to {_number(column[inside].max())}", inside
        return
    # Rare values, such as a unique text per video, make no slice; a mask for each would fill the memory.
    for value in sorted(counts.index[counts >= LEAST_VIDEOS], key=lambda v: (str(type(v)), v)):
        name = ("yes" if value else "no") if isinstance(value, bool | np.bool_) else str(value)
        yield _number(value) if number else name, (column == value).fillna(False).to_numpy(bool)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def compare(
    wrong: Array, groups: Array, names: Sequence[str], slices: Sequence[tuple[str, str, Array]], seed: int
) -> list[dict[str, Any]]:
    """Compare a model's errors in each slice, and in each group, with those in all other videos.

    Slices are tested for a higher error rate than the rest: each group's contribution to the difference gets a random
    sign (`sign_flip`). Of the `MOST_GROUPS` largest groups, one of at least `LEAST_VIDEOS` videos is tested against how
    much the other groups vary, see `_outlying`.

    Args:
        wrong: Share of the repeats in which each video is wrong, float of (videos,).
        groups: The group of each video, an index into `names`, int of (videos,).
        names: Names of the groups.
        slices: Result of `cut`.
        seed: Seed for the random signs.

    Returns:
        Rows of `SCHEMA` without `model` and `leakage`, slices before groups.
    """
    rows: list[dict[str, Any]] = []
    if slices:
        excess = wrong - wrong.mean()
        shares = (np.where(inside, 1 / inside.sum(), -1 / (~inside).sum()) for _, _, inside in slices)
        scores = np.column_stack([np.bincount(groups, weights * excess, len(names)) for weights in shares])
        flipped = sign_flip(scores, seed)[1]
        rows += [_row(*each, wrong, groups, p) for each, p in zip(slices, flipped, strict=True)]
    sizes, errors = np.bincount(groups), np.bincount(groups, wrong)
    largest = np.sort(np.argsort(-sizes, kind="stable")[:MOST_GROUPS])
    for group in largest[sizes[largest] >= LEAST_VIDEOS].tolist() if len(names) > 1 else ():
        inside = groups == group
        rates = float(wrong[inside].mean()), float(wrong[~inside].mean())
        p = _outlying(rates, int(sizes[group]), np.delete(sizes, group), np.delete(errors, group))
        rows.append(_row("group", names[group], inside, wrong, groups, p))
    for row, corrected in zip(rows, holm(np.array([row["p"] for row in rows])), strict=True):
        row |= {"p_holm": float(corrected), "worse": bool(corrected < LEVEL)}
    return rows


def _outlying(rates: tuple[float, float], own: int, sizes: Array, errors: Array) -> float:
    """Test whether a group has more errors than groups vary in any case: one-sided p.

    Videos of a group err together, so a test that takes them for independent calls far too many groups weak. Error
    rates are compared as arcsines of their roots, whose variance does not depend on the rate; the variance between
    groups is that of the other groups of `LEAST_OF_GROUP` videos or more (DerSimonian & Laird 1986).

    Args:
        rates: Error rate of the group, and of all other videos.
        own: Videos of the group.
        sizes: Videos of each other group, int of (groups,).
        errors: Sum of the errors of each other group, float of (groups,).
    """
    angles = np.arcsin(np.sqrt(errors / np.maximum(sizes, 1)))
    shown = sizes >= LEAST_OF_GROUP
    between, degrees = 0.0, max(1, len(sizes) - 1)
    if shown.sum() > 1:
        weights, degrees = 4.0 * sizes[shown], int(shown.sum()) - 1
        excess = (weights * (angles[shown] - np.average(angles[shown], weights=weights)) ** 2).sum() - degrees
        between = max(0.0, excess / (weights.sum() - (weights**2).sum() / weights.sum()))
    shares = sizes / sizes.sum()
    variance = between * (1 + (shares**2).sum()) + 1 / (4 * own) + 1 / (4 * sizes.sum())
    return float(student.sf((np.arcsin(np.sqrt(rates)) @ [1, -1]) / np.sqrt(variance), degrees))


def _row(fact: str, name: str, inside: Array, wrong: Array, groups: Array, p: float) -> dict[str, Any]:
    return {"fact": fact, "slice": str(name), "videos": int(inside.sum()), "groups": len(np.unique(groups[inside]))} | {
        "error": float(wrong[inside].mean()),
        "rest": float(wrong[~inside].mean()),
        "p": float(p),
    }
