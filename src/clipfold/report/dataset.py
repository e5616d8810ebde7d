"""Summarise the data for the report: accounting of every video, classes, and folds."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

COLUMNS = ("id", "status", "frames", "duration", "fps", "vfr", "width", "height", "codec", "has_audio")
SPLITS = ("train", "val", "test")


def account(
    manifest: pd.Series,
    predictions: pd.DataFrame,
    quarantine: pd.Series,
    untested: pd.Series,
    unlabelled: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Check that every row of the manifest was predicted by each model, quarantined, or assigned to no test split.

    Args:
        manifest: Ids of the manifest.
        predictions: `id` and `model`, one row per prediction.
        quarantine: Ids of quarantined videos.
        untested: Ids of videos assigned to no test split.
        unlabelled: `id` and `model` of the predictions for videos without a label.

    Returns:
        Counts `rows`, `predicted`, `quarantined`, `untested` and `unlabelled`; `adds_up`, true if every row is in
        exactly one of them; `lost`, ids in none of them; and `surplus`, ids in several of them or not in the manifest.
    """
    by_model = predictions.groupby("model")["id"].agg(set)
    predicted, out, kept = set.intersection(*by_model), set(quarantine), set(untested)
    rows, every = set(manifest), set.union(*by_model)
    asked = [] if unlabelled is None else [set(unlabelled.id[unlabelled.model == model]) for model in by_model.index]
    answered = set.intersection(*asked) if asked else set()
    parts = (predicted, out, kept, answered)
    lost = sorted(rows.difference(*parts))
    places = Counter(video for part in (every, out, kept, answered) for video in part)
    surplus = sorted(video for video, number in places.items() if number > 1 or video not in rows)
    counts = dict(zip(("predicted", "quarantined", "untested", "unlabelled"), map(len, parts), strict=True))
    counts |= {"rows": len(manifest), "quarantined": len(quarantine)}
    adds_up = not lost and not surplus and len(manifest) == sum(counts.values()) - len(manifest)
    return counts | {"adds_up": adds_up, "lost": lost, "surplus": surplus}


def by_class(probed: pd.DataFrame, videos: pd.DataFrame) -> list[dict[str, Any]]:
    """Summarise the usable videos of each class, and of all classes together (`label` None).

    Args:
        probed: `COLUMNS` and `label`, one row per video of the manifest.
        videos: Table of the folds.

    Returns:
        Per class, counts of `rows`, `videos` and `groups`; median, minimum and maximum of `duration`, `frames` and
        `fps`; shares of the most frequent `sizes` and `codecs`; and the shares of videos with `vfr` and `audio`.
    """
    used = videos.drop_duplicates("id").set_index("id")
    usable = probed[probed.id.isin(used.index)]
    summaries = []
    for label in [*sorted(probed.label.unique()), None]:
        mine = usable if label is None else usable[usable.label == label]
        ranges = {name: dict(mine[name].agg(["median", "min", "max"])) for name in ("duration", "frames", "fps")}
        width, height = (mine[name].astype("Int64").astype(str) for name in ("width", "height"))
        sizes = width + "\N{MULTIPLICATION SIGN}" + height
        summaries.append(
            {
                "label": label,
                "rows": int((probed.label == label).sum()) if label is not None else len(probed),
                "videos": len(mine),
                "groups": used.loc[mine.id, "group"].nunique(),
                **ranges,
                "sizes": shares(sizes),
                "codecs": shares(mine.codec),
                "vfr": mine.vfr.astype(float).mean(),
                "audio": mine.has_audio.astype(float).mean(),
            }
        )
    return summaries


def rows_by_class(rows: pd.DataFrame, assigned: pd.DataFrame) -> list[dict[str, Any]]:
    """Count the rows of a table by class, and of all classes together (`label` None): `rows`, `videos` and `groups`."""
    used = assigned.drop_duplicates("id").set_index("id")
    counts = []
    for label in [*sorted(rows.label.unique()), None]:
        mine = used if label is None else used[used.label == label]
        every = len(rows) if label is None else int((rows.label == label).sum())
        counts.append({"label": label, "rows": every, "videos": len(mine), "groups": mine.group.nunique()})
    return counts


def audited(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in empty results for checks that an audit does not have; see `leakage.audit`."""
    groups: dict[str, Any] = {"source": "manifest"}
    near: dict[str, Any] = {"pairs": None, "across_groups": 0, "other_labels": 0, "across_splits": []}
    return {
        "mark": "",
        "scheme": "grouped",
        "kinds": {},
        "tested": None,
        "leaking": None,
        "near_duplicates": near,
        "groups": groups,
    } | dict(audit)


def shares(values: pd.Series, most: int = 3) -> list[tuple[str, float]]:
    """Return the most frequent values with their shares, and the remaining ones as a count.

    >>> shares(pd.Series(["a", "b", "a", "c"]), most=2)
    [('a', 0.5), ('b', 0.25), ('1 other', 0.25)]
    """
    counts = values.value_counts(normalize=True).sort_index().sort_values(ascending=False, kind="stable")
    found = [(str(name), float(share)) for name, share in counts.items()]
    rest = found[most:]
    return found[:most] + ([(f"{len(rest)} other" + "s" * (len(rest) > 1), sum(s for _, s in rest))] if rest else [])


def by_fold(videos: pd.DataFrame) -> list[dict[str, Any]]:
    """Count the videos of each split of each fold.

    Returns:
        Per `fold` and `split`: `videos`, `groups`, and `classes` (class -> number of videos).
    """
    classes = sorted(videos.label.unique())
    return [
        {
            "fold": fold,
            "split": split,
            "videos": len(rows),
            "groups": rows.group.nunique(),
            "classes": {name: int((rows.label == name).sum()) for name in classes},
        }
        for fold in sorted(videos.fold.unique())
        for split in SPLITS
        for rows in [videos[(videos.fold == fold) & (videos.split == split)]]
    ]
