"""The report: one page to check the comparison by. Facts are gathered here, `report.html` words them."""

import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from clipfold.evaluation import dataset, figures
from clipfold.evaluation.intervals import RESAMPLES
from clipfold.evaluation.tables import NAMES
from clipfold.store import PathLike, read_json, read_table, replacing

FIGURES = ("roc", "precision_recall", "confusion", "reliability")


def write_report(
    evaluation: Mapping[str, PathLike],
    metadata: Sequence[PathLike],
    splits: PathLike,
    quarantine: PathLike,
    audit: PathLike,
    histories: Mapping[str, Sequence[PathLike]],
    records: Mapping[str, Sequence[PathLike]],
    benchmarks: PathLike,
    output: PathLike,
    seed: int,
) -> None:
    """Write the report, a page that needs no other file and no network.

    Args:
        evaluation: `predictions`, `metrics`, `comparison`, `pairs`, `calibration`, `slices` (tables), `roc`,
            `precision_recall`, `confusion` and `reliability` (SVG), as `evaluate` wrote them.
        metadata: tables that probing wrote; their rows are those of the manifest.
        splits: table of the folds.
        quarantine: table of the videos that are not used.
        audit: JSON of what was checked of the folds.
        histories: model -> `history.csv` of every fold.
        records: model -> `fit.json` of every fold.
        benchmarks: folder of Snakemake's benchmark files; may lack any of them, or be missing.
        output: the page.
        seed: of the run.
    """
    videos = read_table(splits).to_pandas()
    rejected = read_table(quarantine).to_pandas()
    probed = read_table(metadata, dataset.COLUMNS).to_pandas()
    predictions = read_table(evaluation["predictions"], ["id", "model"]).to_pandas()
    scores = read_table(evaluation["metrics"]).to_pandas().query("decision != 'val'")
    curves = {model: tables for model, paths in histories.items() if (tables := _epochs(paths))}
    comparison = _comparison(read_table(evaluation["comparison"]).to_pandas(), scores)
    models = {model: _model([read_json(path) for path in paths]) for model, paths in records.items()}
    facts = {
        "classes": sorted(videos.label.unique()),
        "videos": videos.id.nunique(),
        "groups": videos.group.nunique(),
        "folds": videos.fold.nunique(),
        "seed": seed,
        "resamples": RESAMPLES,
        "accounting": dataset.account(probed.id, predictions, rejected.id),
        "audit": read_json(audit),
        "quarantine": _records(rejected.sort_values("id")),
        "dataset": dataset.by_class(probed, videos),
        "splits": dataset.by_fold(videos),
        "comparison": comparison,
        "metrics": _metrics(scores, [row["model"] for row in comparison]),
        "per_class": _per_class(scores, [row["model"] for row in comparison]),
        "pairs": read_table(evaluation["pairs"]).to_pylist(),
        "calibration": read_table(evaluation["calibration"]).to_pylist(),
        "slices": [row for row in read_table(evaluation["slices"]).to_pylist() if row["worse"]],
        **{name: _inline(Path(evaluation[name]).read_text("utf-8")) for name in FIGURES},
        "learning_curves": _inline(figures.learning_curves(curves)) if curves else None,
        "stages": stages(benchmarks),
        "settings": list(dict.fromkeys(key for model in models.values() for key in model["settings"])),
        "models": models,
        "versions": _versions("clipfold", "snakemake", "torch", "scikit-learn", "numpy", "av"),
        "names": NAMES,
    }
    with replacing(output) as file:
        file.write(render(facts).encode())


def render(facts: Mapping[str, Any]) -> str:
    """Fill in the template; whatever came from outside is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "seconds": seconds}
    return environment.get_template("report.html").render(facts)


def number(value: float, digits: int = 3) -> str:
    r"""Write a number, a true minus sign and a dash for NaN included.

    >>> number(1234.5), number(-0.25) == "\N{MINUS SIGN}0.250"
    ('1,234.500', True)
    """
    return "\N{EN DASH}" if pd.isna(value) else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def seconds(value: float) -> str:
    """Write a time span in the two units that matter.

    >>> [seconds(v) for v in (2.34, 95, 7260)]
    ['2.3 s', '1 min 35 s', '2 h 01 min']
    """
    if pd.isna(value):
        return "\N{EN DASH}"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def stages(benchmarks: PathLike) -> list[dict[str, Any]]:
    """Add up Snakemake's benchmark files by stage: the first folder, or the file's own name without one.

    Args:
        benchmarks: folder of `.tsv` files, at any depth; may be missing.

    Returns:
        Per stage `stage`, `jobs`, `seconds`, `cpu_seconds` and `memory_mb` (the largest of any job), longest first.
        What was not measured is NaN.
    """
    root = Path(benchmarks)
    parts = []
    for path in sorted(root.rglob("*.tsv")):
        stage = path.relative_to(root).parts[0].removesuffix(".tsv")
        if stage != "report" and path.stat().st_size:  # this page cannot know its own; one there is of an older run
            table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
            parts.append(table.reindex(columns=["s", "cpu_time", "max_rss"]).assign(stage=stage))
    if not parts:
        return []
    jobs = pd.concat(parts).astype({"s": float, "cpu_time": float, "max_rss": float}).groupby("stage")
    rows = [
        {
            "stage": stage,
            "jobs": len(table),
            "seconds": table["s"].sum(min_count=1),
            "cpu_seconds": table["cpu_time"].sum(min_count=1),
            "memory_mb": table["max_rss"].max(),
        }
        for stage, table in jobs
    ]
    return sorted(rows, key=lambda row: row["seconds"], reverse=True)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _epochs(paths: Sequence[PathLike]) -> list[pd.DataFrame]:
    """Histories of a model that was trained over epochs; of others there is nothing to draw."""
    tables = [pd.read_csv(path) for path in paths]
    return tables if max(map(len, tables)) > 1 else []


def _comparison(comparison: pd.DataFrame, scores: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of the comparison, with the spread over folds and the place of the interval on a common scale."""
    metric = str(comparison["metric"][0])
    floor = min(comparison.low.min(), 0.95) // 0.1 * 0.1
    rows = []
    for row in _records(comparison):
        place = {key: 100 * (row[key] - floor) / (1 - floor) for key in ("low", "value", "high")}
        rows.append(row | {"folds": _folds(scores, row["model"], metric), "place": place, "floor": floor})
    return rows


def _folds(scores: pd.DataFrame, model: str, metric: str) -> dict[str, float]:
    """Mean and standard deviation over folds; folds without a value are left out."""
    values = scores.value[(scores.model == model) & (scores.metric == metric) & scores.scope.str.startswith("fold-")]
    return {"mean": values.mean(), "sd": values.std(), "count": values.count()}


def _metrics(scores: pd.DataFrame, models: Sequence[str]) -> list[dict[str, Any]]:
    """Per model, all pooled metrics; macro recall is left out, for it is balanced accuracy."""
    pooled = scores[(scores.scope == "pooled") & (scores["class"] == "") & (scores.metric != "macro_recall")]
    return [
        {
            "model": model,
            "values": [
                row | {"folds": _folds(scores, model, row["metric"])} for row in _records(pooled[pooled.model == model])
            ],
        }
        for model in models
    ]


def _per_class(scores: pd.DataFrame, models: Sequence[str]) -> list[dict[str, Any]]:
    """Per model and class, its metrics by name."""
    pooled = scores[(scores.scope == "pooled") & (scores["class"] != "")]
    return [
        {"model": model, "class": name, "values": {row["metric"]: row for row in _records(table)}}
        for model in models
        for name, table in pooled[pooled.model == model].groupby("class")
    ]


def _model(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a model's fits say of themselves; a fact that differs between folds is listed by fold."""
    first = records[0]
    facts = {
        "features": len(first.get("features", [])) or None,
        "parameters": first.get("parameters"),
        "epochs": [r["best_epoch"] for r in records if "best_epoch" in r],
        "devices": sorted({r["device"] for r in records if "device" in r}),
        "seconds": [r["seconds"] for r in records if "seconds" in r],
    }
    return {"settings": first["settings"], **facts}


def _versions(*packages: str) -> dict[str, str]:
    """Version of Python and of each package that is installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _inline(svg: str) -> Markup:
    """One of our own figures, which matplotlib has escaped, as part of a page."""
    return Markup(re.sub(r"^.*?(?=<svg )", "", svg, flags=re.DOTALL))
