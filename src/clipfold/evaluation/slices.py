"""Where models err: parts of the videos that share a fact, held against all others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import hypergeom

from clipfold.evaluation.significance import LEVEL, holm, sign_flip
from clipfold.storage.files import Array, PathLike, read_table

SCHEMA = pa.schema(
    {
        "model": pa.string(),
        "fact": pa.string(),
        "slice": pa.string(),
        "videos": pa.int64(),
        "groups": pa.int64(),
        "error": pa.float64(),  # share of the slice's videos that are wrong
        "rest": pa.float64(),  # share of all others
        "p": pa.float64(),
        "p_holm": pa.float64(),  # corrected for all slices of the model
        "worse": pa.bool_(),  # than the rest, beyond chance
        "leakage": pa.string(),  # which leaks were allowed, `mark` of audit.json; "" without
    }
)
LEAST_VIDEOS = 10
LEAST_GROUPS = 3
FEW_VALUES = 8  # numbers with more are cut into quarters
_PROBED = ("id", "width", "height", "duration", "fps", "vfr", "codec", "has_audio", "encoder")
_MEASURED = {"brightness.mean": "brightness", "motion.speed_mean": "motion"}


def read_facts(
    ids: Sequence[str],
    metadata: Sequence[PathLike],
    features: Sequence[PathLike],
    extras: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Gather what is known of videos.

    Args:
        ids: of the videos.
        metadata: tables that probing wrote.
        features: tables of handcrafted features.
        extras: `id` and further columns of the manifest; empty where it has none.

    Returns:
        Table by id, in the order of `ids`: `size` in pixels across and down (their number where there are many sizes),
        `duration` in seconds, `fps`, `vfr`, `codec`, `audio`, `encoder`, mean `brightness` in grey levels, `motion` in
        pixels per step, and the further columns, as numbers where all are.
    """
    probed = read_table(metadata, _PROBED).to_pandas().set_index("id").loc[list(ids)]
    width, height = (probed[name].astype("Int64").astype(str) for name in ("width", "height"))
    size = width + "\N{MULTIPLICATION SIGN}" + height
    probed.insert(0, "size", size if size.nunique() <= FEW_VALUES else probed.width * probed.height)
    facts: pd.DataFrame = probed.drop(columns=["width", "height"]).rename(columns={"has_audio": "audio"})
    measured = read_table(features, ["id", *_MEASURED]).to_pandas().set_index("id").rename(columns=_MEASURED)
    facts = facts.join(measured)
    if extras:
        further = pd.DataFrame(extras).set_index("id").replace("", None)
        further.columns = [f"{name} (manifest)" if name in facts else name for name in further]
        facts = facts.join(further.apply(_numbers))
    return facts


def _numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """The column as numbers, if all are; an infinite one counts as missing, for no slice has bounds there."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.where(np.isfinite(numbers)) if numbers.notna().equals(column.notna()) else column


def cut(facts: pd.DataFrame, groups: "pd.Series[str]") -> list[tuple[str, str, Array]]:
    """Cut the videos into slices by each fact: numbers of many values into quarters, all else by value.

    Args:
        facts: a row per video.
        groups: of the videos, in the same order.

    Returns:
        Name of the fact, of the slice, and which videos are in it, bool of (videos,). Slices of fewer than
        `LEAST_VIDEOS` videos or `LEAST_GROUPS` groups are left out, on either side.
    """
    codes = groups.to_numpy(str)

    def large(side: Array) -> bool:
        return bool(side.sum() >= LEAST_VIDEOS and len(np.unique(codes[side])) >= LEAST_GROUPS)

    found = ((str(fact), *part) for fact in facts for part in _parts(facts[fact]))
    return [(fact, name, inside) for fact, name, inside in found if large(inside) and large(~inside)]


def _parts(column: "pd.Series[Any]") -> Iterator[tuple[str, Array]]:
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    counts = column.value_counts()
    if number and len(counts) > FEW_VALUES:
        # A value that many share is a slice of its own: between quarters, it would swallow one or more of them.
        common = sorted(counts.index[counts >= column.count() / 4])
        yield from ((_number(value), (column == value).to_numpy(bool)) for value in common)
        quarters = pd.qcut(column.mask(column.isin(common)), 4, duplicates="drop")
        for quarter in quarters.cat.categories:
            inside = (quarters == quarter).to_numpy()
            yield f"{_number(column[inside].min())} to {_number(column[inside].max())}", inside
        return
    # Of a text of its own for each video, there is nothing to look at, and no memory for a mask of each.
    for value in sorted(counts.index[counts >= LEAST_VIDEOS], key=lambda v: (str(type(v)), v)):
        name = ("yes" if value else "no") if isinstance(value, bool | np.bool_) else str(value)
        yield _number(value) if number else name, (column == value).fillna(False).to_numpy(bool)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def compare(
    wrong: Array, groups: Array, names: Sequence[str], slices: Sequence[tuple[str, str, Array]], seed: int
) -> list[dict[str, Any]]:
    """Hold a model's errors in each slice, and in each group, against those in all other videos.

    The test is whether more errors than elsewhere come from the slice's videos: the score of each group, what it adds
    to the difference, is given a random sign (`sign_flip`). A group itself, of at least `LEAST_VIDEOS`, is tested by
    Fisher's exact test, on videos that are wrong in most repeats: whether it errs more than if there were no groups.

    Args:
        wrong: share of the repeats in which a video is wrong, float of (videos,).
        groups: the group of each video, an index into `names`, int of (videos,).
        names: of the groups.
        slices: from `cut`.
        seed: of the signs.

    Returns:
        Rows of `SCHEMA` without `model`, slices before groups.
    """
    rows: list[dict[str, Any]] = []
    if slices:
        excess = wrong - wrong.mean()
        parts = (np.where(part, 1 / part.sum(), -1 / (~part).sum()) for _, _, part in slices)
        scores = np.column_stack([np.bincount(groups, weights * excess, len(names)) for weights in parts])
        flipped = sign_flip(scores, seed)[1]
        rows += [_row(*each, wrong, groups, p) for each, p in zip(slices, flipped, strict=True)]
    mostly = wrong > 0.5
    for group in np.flatnonzero(np.bincount(groups) >= LEAST_VIDEOS) if len(names) > 1 else ():
        part = groups == group
        p = hypergeom.sf((mostly & part).sum() - 1, len(wrong), mostly.sum(), part.sum())
        rows.append(_row("group", names[int(group)], part, wrong, groups, p))
    for row, corrected in zip(rows, holm(np.array([row["p"] for row in rows])), strict=True):
        row |= {"p_holm": float(corrected), "worse": bool(corrected < LEVEL)}
    return rows


def _row(fact: str, name: str, part: Array, wrong: Array, groups: Array, p: float) -> dict[str, Any]:
    return {"fact": fact, "slice": str(name), "videos": int(part.sum()), "groups": len(np.unique(groups[part]))} | {
        "error": float(wrong[part].mean()),
        "rest": float(wrong[~part].mean()),
        "p": float(p),
    }
