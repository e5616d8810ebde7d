"""Score a light model again under coarser groups: a drop beyond chance says that the groups may be too fine.

Groups that look alike are merged. If they were recordings of one place, a model could recognise in the test what it saw
in training, and no longer can: its score drops. Merging alone changes scores too, since folds get fewer and larger
groups; so the same numbers of groups are also merged at random, and the drop is judged against those scores.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage

from clipfold.leakage.disjoint_sets import DisjointSets
from clipfold.storage.assigned import read_assigned
from clipfold.storage.files import Array, PathLike, open_array, read_table, write_json

FOLDS, ASSIGNMENTS, RANDOM = 5, 3, 59
SHARES = (0.5, 0.25)
"""Merged groups as a share of all."""
MOST_VIDEOS = 1000
_NOT_SEEN = ("container.", "sound.", "shuffled.")
_LOOKS = ("frame.", "colour.")


def score_coarser_groups(
    features: Sequence[PathLike],
    splits: PathLike,
    matches: PathLike,
    output: PathLike,
    seed: int,
    embedded: Mapping[str, Sequence[PathLike]] | None = None,
) -> None:
    """Score a ridge classifier on the features, under the groups as they are and under coarser ones.

    Args:
        features: Tables of features, by shard.
        splits: Table of the folds.
        matches: Table of the near-duplicate pairs, whose groups are merged first.
        output: JSON to write: `groups`, `videos`, `looks` (by what groups look alike), `score` under the groups as they
            are, `p` (the smallest of the levels', times their number: Bonferroni), and `levels`: for each of `SHARES`,
            `groups`, `similar` (score where groups that look alike are merged), `random` (mean score where as many are
            merged at random), `low` and `high` (90 % of these lie between), `p` (one-sided). Or `reason`, why nothing
            was scored.
        seed: Seed for everything random.
        embedded: `embeddings`, arrays of an encoder, and `index`, their indices; groups look alike by these, else by
            colours and a blurred frame.
    """
    random = np.random.default_rng(seed)
    videos = read_assigned(splits).drop_duplicates("id").sort_values("id").set_index("id")[["label", "group"]]
    kept = _some_groups(videos.group, random)
    videos = videos[videos.group.isin(kept)]
    units = _joined(videos.group, read_table(matches, ["first", "second"]).to_pylist())
    table = read_table(features).to_pandas().set_index("id").loc[videos.index].select_dtypes("number")
    seen = table[[name for name in table if not name.startswith(_NOT_SEEN)]]
    looks = _embeddings(embedded, list(videos.index)) if embedded else table[[n for n in table if n.startswith(_LOOKS)]]
    facts = {
        "groups": len(kept),
        "videos": len(videos),
        "looks": "embeddings" if embedded else "colours and a blurred frame",
    }
    if not len(looks.columns):
        looks, facts["looks"] = seen, "all columns"
    count = int(units.max()) + 1
    if round(SHARES[0] * count) < 2 * FOLDS or not len(seen.columns):
        reason = f"{count} groups are too few to merge" if len(seen.columns) else "no column has numbers"
        write_json(output, facts | {"reason": reason})
        return
    x, y = _rotated(_standardised(seen)), videos.label.to_numpy(str)
    merged = linkage(_means(_standardised(looks), units), "ward")

    def score(names: Array) -> float:
        return _score(x, len(seen.columns), y, names, seed)

    levels = []
    for share in SHARES:
        clusters = fcluster(merged, max(2 * FOLDS, round(share * count)), "maxclust")
        similar = score(clusters[units])
        others = np.array([score(random.permutation(clusters)[units]) for _ in range(RANDOM)])
        low, high = np.quantile(others, (0.05, 0.95))
        p = (1 + (others <= similar).sum()) / (1 + RANDOM)
        levels.append(
            {"groups": int(clusters.max()), "similar": similar, "random": float(others.mean())}
            | {"low": float(low), "high": float(high), "p": float(p)}
        )
    p = min(1.0, len(levels) * min(level["p"] for level in levels))
    write_json(output, facts | {"score": score(videos.group.to_numpy(str)), "p": p, "levels": levels})


def _some_groups(groups: "pd.Series[str]", random: np.random.Generator) -> list[str]:
    """Draw groups with at most `MOST_VIDEOS` videos together."""
    sizes = groups.value_counts().sort_index()
    drawn = sizes.iloc[random.permutation(len(sizes))]
    return list(drawn.index[drawn.cumsum() <= MOST_VIDEOS]) if sizes.sum() > MOST_VIDEOS else list(sizes.index)


def _joined(groups: "pd.Series[str]", pairs: Sequence[Mapping[str, str]]) -> Array:
    """Number what is merged in any case, groups that share near duplicates: int of (videos,), from 0."""
    codes = np.unique(groups.to_numpy(str), return_inverse=True)[1].tolist()
    own, sets = dict(zip(groups.index, codes, strict=True)), DisjointSets(len(groups))
    for pair in pairs:
        if pair["first"] in own and pair["second"] in own:
            sets.join(own[pair["first"]], own[pair["second"]])
    return np.asarray(np.unique([sets.find(code) for code in codes], return_inverse=True)[1])


def _embeddings(embedded: Mapping[str, Sequence[PathLike]], ids: Sequence[str]) -> pd.DataFrame:
    """Read the mean embedding of each video over its frames."""
    found: dict[str, Array] = {}
    for array, index in zip(embedded["embeddings"], embedded["index"], strict=True):
        stored = open_array(array)
        for row in read_table(index, ["id", "row"]).to_pylist():
            if row["row"] is not None:
                found[row["id"]] = np.asarray(stored[row["row"]], np.float32).mean(axis=0).ravel()
    return pd.DataFrame(np.stack([found[name] for name in ids]), index=pd.Index(ids))


def _standardised(table: pd.DataFrame) -> Array:
    """Fill gaps with medians and scale columns to unit variance, without labels: float of (videos, columns)."""
    values = table.replace([np.inf, -np.inf], np.nan)
    values = values.fillna(values.median()).fillna(0)
    return ((values - values.mean()) / values.std(ddof=0).replace(0, 1)).to_numpy()


def _means(x: Array, units: Array) -> Array:
    """Average the rows of each unit: float of (units, columns)."""
    sums = np.zeros((units.max() + 1, x.shape[1]))
    np.add.at(sums, units, x)
    return np.asarray(sums / np.bincount(units)[:, None])


def _rotated(x: Array) -> Array:
    """Turn the columns so that there are no more than rows; ridge regression depends on their products alone."""
    if x.shape[1] <= len(x):
        return x
    u, size, _ = np.linalg.svd(x, full_matrices=False)
    return np.asarray(u * size)


def _score(x: Array, penalty: float, labels: Array, groups: Array, seed: int) -> float:
    """Compute the mean ROC-AUC within folds over classes and assignments of groups to folds."""
    classes, targets = np.unique(labels, return_inverse=True)
    wanted = np.eye(len(classes))[targets]
    _, groups = np.unique(groups, return_inverse=True)
    found = []
    for assignment in range(ASSIGNMENTS):
        folds = _assigned(wanted, groups, np.random.default_rng([seed, assignment]))
        scores = np.zeros(wanted.shape)
        for fold in range(FOLDS):
            test = folds == fold
            scores[test] = _ridge(x[~test], wanted[~test], x[test], penalty)
        found += [_auc(targets == c, scores[:, c], groups, folds) for c in range(len(classes))]
    return float(np.nanmean(found))


def _auc(positive: Array, scores: Array, groups: Array, folds: Array) -> float:
    """Compute `within_folds.auc`, pair by pair: of few videos in many small groups, a tenth of its time."""
    same_fold, same_group = (each[positive, None] == each[~positive] for each in (folds, groups))
    ahead = (scores[positive, None] - scores[~positive])[same_fold & ~same_group]
    return float(((ahead > 0) + (ahead == 0) / 2).mean()) if len(ahead) else np.nan


def _assigned(wanted: Array, groups: Array, random: np.random.Generator) -> Array:
    """Assign groups to folds, those with most of one class first, each to the fold that has least of its classes.

    As scikit-learn's `StratifiedGroupKFold`, whose time for thousands of assignments was most of this job's.

    Args:
        wanted: 1 for the class of each video, else 0, float of (videos, classes).
        groups: The group of each video, int of (videos,), from 0.
        random: Shuffles groups that are alike.

    Returns:
        The fold of each video, int of (videos,); none is empty.
    """
    counts = np.zeros((groups.max() + 1, wanted.shape[1]))
    np.add.at(counts, groups, wanted)
    shares, own = counts / counts.sum(axis=0), np.zeros(len(counts), int)
    held = np.zeros((FOLDS, wanted.shape[1]))
    order = random.permutation(len(counts))
    for group in order[np.argsort(-counts[order].std(axis=1), kind="stable")]:
        own[group] = fold = np.argmin(held @ shares[group] + 1e-6 * held.sum(axis=1))
        held[fold] += shares[group]
    return np.asarray(own[groups])


def _ridge(x: Array, y: Array, new: Array, penalty: float) -> Array:
    """Fit a ridge regression with an intercept and predict, float of (new rows, columns of `y`)."""
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - middle
    weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ (y - mean))
    return np.asarray((new - middle) @ weights + mean)
