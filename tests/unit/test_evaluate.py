"""Evaluation of small made-up runs: pooling, its checks, the tables and figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clipfold.evaluation import metrics
from clipfold.evaluation.evaluate import COMPARISON, METRICS, evaluate
from clipfold.splits import QUARANTINE, SCHEMA
from clipfold.store import read_table, write_table

Edit = Callable[[str, int, pd.DataFrame], pd.DataFrame]


def run(folder: Path, skills: dict[str, float], classes: int = 2, edit: Edit = lambda _m, _f, t: t) -> dict[str, Any]:
    """Evaluate models of some skill in [0, 1] on 90 videos in 30 groups and 3 folds."""
    random = np.random.default_rng(0)
    names = ["fake", "real", "$odd$ <b>"][:classes]
    ids = [f"v{i:02}" for i in range(90)]
    labels = [names[i % classes] for i in range(90)]
    noise = random.dirichlet(np.ones(classes), 90)
    roles = ("test", "val", "train")
    splits = [
        {"id": ids[i], "label": labels[i], "group": f"g{i // 3}", "fold": fold, "role": roles[(i // 3 + fold) % 3]}
        for fold in range(3)
        for i in range(90)
    ]
    write_table(folder / "splits.parquet", splits, SCHEMA)
    write_table(folder / "quarantine.parquet", [dict.fromkeys(QUARANTINE.names, "bad")], QUARANTINE)
    order = sorted(names)
    truth = np.eye(classes)[[order.index(label) for label in labels]]
    paths: dict[str, list[Path]] = {}
    for model, skill in skills.items():
        values = pd.DataFrame(skill * truth + (1 - skill) * noise, columns=[f"p_{name}" for name in order])
        table = values.assign(id=ids, label=labels)
        for fold in range(3):
            role = {row["id"]: row["role"] for row in splits if row["fold"] == fold}
            part = table.assign(role=table.id.map(role)).query("role != 'train'")
            path = folder / model / f"fold-{fold}" / "predictions.parquet"
            write_table(path, pa.Table.from_pandas(edit(model, fold, part), preserve_index=False))
            paths.setdefault(model, []).append(path)
    outputs = {name: folder / "out" / name for name in ("predictions", "metrics", "comparison", "roc", "confusion")}
    evaluate(paths, folder / "splits.parquet", folder / "quarantine.parquet", outputs, seed=1)
    return outputs


def test_tables(tmp_path):
    outputs = run(tmp_path, {"weak": 0.2, "good": 0.45, "good_too": 0.45})
    predictions = read_table(outputs["predictions"]).to_pandas()
    assert list(predictions) == ["id", "label", "group", "fold", "model", "p_fake", "p_real"]
    assert predictions.equals(predictions.sort_values(["model", "id"], ignore_index=True))
    assert len(predictions) == 3 * 90

    scores = read_table(outputs["metrics"])
    assert scores.schema == METRICS
    table = scores.to_pandas()
    mine = predictions[predictions.model == "weak"]
    expected = metrics.overall((mine.label == "real").to_numpy(int), mine[["p_fake", "p_real"]].to_numpy())
    pooled = table[(table.model == "weak") & (table.scope == "pooled") & (table["class"] == "")]
    assert dict(zip(pooled.metric, pooled.value, strict=True)) == pytest.approx(expected)
    assert (pooled.low <= pooled.value).all()
    assert (pooled.value <= pooled.high).all()
    assert set(table.scope) == {"pooled", "fold-0", "fold-1", "fold-2"}
    assert table.low[table.scope != "pooled"].isna().all()
    assert set(table["class"]) == {"", "fake", "real"}

    comparison = read_table(outputs["comparison"])
    assert comparison.schema == COMPARISON
    rows = comparison.to_pylist()
    assert [row["model"] for row in rows] == ["good", "good_too", "weak"]
    assert [row["tied"] for row in rows] == [True, True, False]
    assert rows[1]["difference"] == rows[1]["difference_low"] == rows[1]["difference_high"] == 0
    assert rows[2]["difference_low"] <= rows[2]["difference"] <= rows[2]["difference_high"] < 0


def test_several_classes_are_ranked_by_balanced_accuracy(tmp_path):
    outputs = run(tmp_path, {"a": 0.3, "b": 0.4}, classes=3)
    rows = read_table(outputs["comparison"]).to_pylist()
    assert [(row["model"], row["metric"]) for row in rows] == [("b", "balanced_accuracy"), ("a", "balanced_accuracy")]
    figure = outputs["confusion"].read_text()
    assert "$odd$ &lt;b&gt;" in figure  # a name, neither a formula nor markup
    assert "<b>" not in figure


def test_same_input_gives_same_bytes(tmp_path):
    first, second = (run(tmp_path / name, {"a": 0.3, "b": 0.4}) for name in "xy")
    for name, path in first.items():
        assert path.read_bytes() == second[name].read_bytes(), name


def test_figures_take_the_colour_of_the_text_around_them(tmp_path):
    outputs = run(tmp_path, {"a": 0.3})
    for name in ("roc", "confusion"):
        text = outputs[name].read_text()
        assert text.startswith(f'<svg id="{name}-figure" role="img" aria-label=')
        assert "currentColor" in text
        assert "#808080" not in text


def _drop(model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
    return table[~table.id.isin(["v00", "v01"])] if model == "b" and fold == 0 else table


def _double(model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table[table.id == "v00"]]) if model == "b" and fold == 0 else table


def _swap(model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(role=table.role.map({"test": "val", "val": "test"})) if model == "b" else table


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_drop, "b: of 90 usable videos, 2 are missing"),
        (_double, "b: of 90 usable videos, 0 are missing .* 1 are doubled"),
        (_swap, "b: .* 0 are doubled, and 90 rows are not of their fold's test part"),
    ],
)
def test_each_video_has_to_be_predicted_exactly_once(tmp_path, edit, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, {"a": 0.3, "b": 0.4}, edit=edit)


def test_a_quarantined_video_cannot_be_used(tmp_path):
    outputs = run(tmp_path, {"a": 0.3})
    write_table(tmp_path / "bad.parquet", [dict.fromkeys(QUARANTINE.names, "") | {"id": "v07"}], QUARANTINE)
    paths = {"a": [tmp_path / "a" / f"fold-{fold}" / "predictions.parquet" for fold in range(3)]}
    with pytest.raises(ValueError, match="1 videos are used and in quarantine, such as 'v07'"):
        evaluate(paths, tmp_path / "splits.parquet", tmp_path / "bad.parquet", outputs, seed=1)
