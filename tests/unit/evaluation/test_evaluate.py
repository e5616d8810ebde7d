"""Evaluate small made-up runs: pooling and its checks, tables and figures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.evaluated import FIGURES, OUTPUTS, write_facts
from sklearn.metrics import average_precision_score

from clipfold.evaluation import figures, metrics, within_folds
from clipfold.evaluation.comparison import COMPARISON, PAIRS
from clipfold.evaluation.evaluate import evaluate
from clipfold.evaluation.measure import SCHEMA as METRICS
from clipfold.evaluation.task import EvaluationTask
from clipfold.evaluation.temperature import scale
from clipfold.splits.split import QUARANTINE, SCHEMA
from clipfold.storage.files import read_table, write_table

Edit = Callable[[str, int, pd.DataFrame], pd.DataFrame]


def run(
    folder: Path,
    skills: dict[str, float],
    classes: int = 2,
    edit: Edit = lambda _m, _f, t: t,
    repeats: int = 1,
    extras: dict[str, list[str]] | None = None,
    positive: str = "",
    unlabelled: int = 0,
    shortcuts: Sequence[str] = (),
) -> dict[str, Any]:
    """Evaluate models of given skill in [0, 1] on 90 videos in 30 groups and 3 folds; returns the outputs."""
    random = np.random.default_rng(0)
    names = ["fake", "real", "$odd$ <b>"][:classes]
    ids = [f"v{i:02}" for i in range(90)]
    labels = [names[i % classes] for i in range(90)]
    noise = random.dirichlet(np.ones(classes), 90)
    order = ("test", "val", "train")
    splits = [
        {"id": ids[i], "label": labels[i], "group": f"g{i // 3}", "fold": fold, "split": order[(i // 3 + fold) % 3]}
        | {"repeat": fold // 3}
        for fold in range(3 * repeats)
        for i in range(90)
    ]
    others = [f"u{i}" for i in range(unlabelled)]
    splits += [
        {"id": name, "label": "", "group": "g0", "fold": fold, "split": "unlabelled", "repeat": fold // 3}
        for fold in range(3 * repeats)
        for name in others
    ]
    write_table(folder / "splits.parquet", splits, SCHEMA)
    write_table(folder / "quarantine.parquet", [dict.fromkeys(QUARANTINE.names, "bad")], QUARANTINE)
    order = sorted(names)
    truth = np.eye(classes)[[order.index(label) for label in labels]]
    paths: dict[str, list[Path]] = {}
    for model, skill in skills.items():
        values = pd.DataFrame(skill * truth + (1 - skill) * noise, columns=[f"p_{name}" for name in order])
        table = values.assign(id=ids, label=labels)
        for fold in range(3 * repeats):
            split = {row["id"]: row["split"] for row in splits if row["fold"] == fold}
            rows = table.assign(split=table.id.map(split)).query("split != 'train'")
            said = [(0.2 + 0.2 * fold, 0.8 - 0.2 * fold, 0.0)[:classes] for _ in others]
            asked = pd.DataFrame(said, columns=[f"p_{name}" for name in order]).assign(id=others, label="")
            rows = pd.concat([rows, asked.assign(split="unlabelled")], ignore_index=True) if others else rows
            path = folder / model / f"fold-{fold}" / "predictions.parquet"
            write_table(path, pa.Table.from_pandas(edit(model, fold, rows), preserve_index=False))
            paths.setdefault(model, []).append(path)
    outputs = {name: folder / "out" / name for name in OUTPUTS}
    probed = [
        {"id": ids[i], "width": 640, "height": 360 + i % 2, "duration": 1 + i / 10, "fps": 30.0, "codec": "h264"}
        | {"has_audio": i % 2 == 0, "vfr": False, "encoder": f"unique {i}"}
        for i in range(90)
    ]
    evaluate(
        EvaluationTask(
            predictions=paths,
            splits=folder / "splits.parquet",
            quarantine=folder / "quarantine.parquet",
            **write_facts(folder, probed),
            extras=extras or {},
            outputs=outputs,
            seed=1,
            positive=positive,
            ledger=folder / "ledger.json",
            shortcuts=shortcuts,
        )
    )
    return outputs


@pytest.fixture
def no_figures(monkeypatch):
    """Skip drawing, which takes ten times as long as everything else."""
    monkeypatch.setattr(figures, "evaluation", lambda *_: {})


def test_tables(tmp_path, no_figures):
    outputs = run(tmp_path, {"weak": 0.2, "good": 0.45, "good_too": 0.45})
    predictions = read_table(outputs["predictions"]).to_pandas()
    assert list(predictions) == ["id", "label", "group", "repeat", "fold", "model", "p_fake", "p_real"]
    assert predictions.equals(predictions.sort_values(["model", "id"], ignore_index=True))
    assert len(predictions) == 3 * 90

    scores = read_table(outputs["metrics"])
    assert scores.schema == METRICS
    table = scores.to_pandas()
    mine = predictions[predictions.model == "weak"]
    expected = metrics.overall((mine.label == "real").to_numpy(int), mine[["p_fake", "p_real"]].to_numpy())
    pooled = table[(table.model == "weak") & (table.scope == "pooled") & (table["class"] == "")]
    assert set(pooled[pooled.decision == "val"].metric) == set(
        metrics.decisions(np.array([0, 1]), np.array([0, 1]), 2)[0]
    )
    pooled = pooled[pooled.decision != "val"]
    group = np.unique(mine.group, return_inverse=True)[1]
    within = within_folds.auc((mine.label == "real").to_numpy(), mine.p_real.to_numpy(), group, mine["fold"].to_numpy())
    expected |= {"roc_auc_within": within}
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
    assert rows[2]["value"] == pytest.approx(within)
    assert rows[2]["pooled"] == pytest.approx(expected["roc_auc"])
    assert rows[1]["difference"] == rows[1]["difference_low"] == rows[1]["difference_high"] == 0
    assert rows[2]["difference_low"] <= rows[2]["difference"] <= rows[2]["difference_high"] < 0

    pairs = read_table(outputs["pairs"])
    assert pairs.schema == PAIRS
    rows = {(row["model"], row["other"]): row for row in pairs.to_pylist()}
    assert set(rows) == {("good", "good_too"), ("good", "weak"), ("good_too", "weak")}
    same, apart = rows["good", "good_too"], rows["good", "weak"]
    tests = ("p_bootstrap", "p_holm", "p_delong", "p_folds", "p_sign_flip", "p_mcnemar")
    assert [same[name] for name in tests] == [1] * 6
    assert all(0 <= apart[name] < 0.05 for name in tests)
    assert apart["p_holm"] == pytest.approx(min(3 * apart["p_bootstrap"], 1), rel=0.5)


def test_the_best_of_three_is_corrected_and_all_tries_count(tmp_path, no_figures):
    skills = {"a": 0.3, "b": 0.3, "c": 0.28}
    few = read_table(run(tmp_path, {"a": 0.3, "b": 0.25})["comparison"]).to_pylist()
    many = read_table(run(tmp_path, skills)["comparison"]).to_pylist()
    again = read_table(run(tmp_path, skills | {"d": 0.1}, shortcuts=["d"])["comparison"]).to_pylist()
    assert np.isnan(few[0]["corrected"])
    assert many[0]["corrected_low"] < many[0]["corrected"] < many[0]["corrected_high"]
    assert many[0]["corrected"] == pytest.approx(many[0]["value"], abs=0.03)
    assert all(np.isnan(row["corrected"]) for row in many[1:])
    # `a` and `b` of the same skill predict the same; a baseline is no try.
    assert [rows[0]["scored"] for rows in (few, many, again)] == [2, 3, 3]


def test_a_model_is_compared_with_the_shortcut_that_is_the_hardest_to_beat(tmp_path, no_figures):
    rows = read_table(run(tmp_path, {"a": 0.3, "b": 0.25, "c": 0.02}, shortcuts=["b", "c"])["comparison"]).to_pylist()
    best, hardest, other = rows
    assert (best["best_shortcut"], hardest["model"]) == ("b", "b")
    assert best["over_shortcut"] == pytest.approx(best["value"] - hardest["value"])
    assert other["value"] < hardest["value"]
    assert hardest["best_shortcut"] == ""


def test_another_scale_in_each_fold_changes_the_pooled_value_alone(tmp_path, no_figures):
    def shrunk(_model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
        real = table.p_real / 4**fold
        return table.assign(p_real=real, p_fake=1 - real)

    before, after = (
        read_table(run(tmp_path / name, {"a": 0.3, "b": 0.4}, edit=edit)["comparison"]).to_pylist()
        for name, edit in (("same", lambda _m, _f, t: t), ("other", shrunk))
    )
    for first, second in zip(before, after, strict=True):
        assert first["metric"] == "roc_auc_within"
        assert {first[key] for key in ("value", "low")} == {second[key] for key in ("value", "low")}
        assert second["pooled"] < first["pooled"] - 0.03


@pytest.mark.slow
def test_several_classes_are_ranked_by_balanced_accuracy(tmp_path):
    outputs = run(tmp_path, {"a": 0.3, "b": 0.4}, classes=3)
    rows = read_table(outputs["comparison"]).to_pylist()
    assert [(row["model"], row["metric"]) for row in rows] == [("b", "balanced_accuracy"), ("a", "balanced_accuracy")]
    figure = outputs["confusion"].read_text()
    assert "$odd$ &lt;b&gt;" in figure  # a name, neither a formula nor markup
    assert "<b>" not in figure


def test_repeats_are_scored_one_by_one_and_averaged(tmp_path, no_figures):
    once, twice = run(tmp_path / "once", {"a": 0.3, "b": 0.4}), run(tmp_path / "twice", {"a": 0.3, "b": 0.4}, repeats=2)
    # The second repeat predicts the same: it must not change a value, nor make an interval narrower.
    for name in ("metrics", "comparison", "pairs", "calibration"):
        first, second = (read_table(outputs[name]).to_pandas() for outputs in (once, twice))
        if name == "metrics":
            assert set(second.scope) == {"pooled", *(f"fold-{fold}" for fold in range(6))}
            second = second[second.scope.isin(first.scope)].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            first.drop(columns="p_folds", errors="ignore"), second[[*first.columns.drop("p_folds", errors="ignore")]]
        )
    predictions = read_table(twice["predictions"]).to_pandas()
    assert len(predictions) == 2 * 2 * 90
    assert (predictions["repeat"] == predictions.fold // 3).all()


def test_the_mean_over_repeats_is_not_the_metric_of_all_predictions_together(tmp_path, no_figures):
    def worse(_model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
        # In the second repeat all scores are lower, ranked as before.
        return table.assign(p_real=table.p_real / 9, p_fake=1 - table.p_real / 9) if fold >= 3 else table

    outputs = run(tmp_path, {"a": 0.3}, edit=worse, repeats=2)
    single = run(tmp_path / "single", {"a": 0.3})
    auc, alone = (read_table(o["comparison"]).column("value")[0].as_py() for o in (outputs, single))
    assert auc == pytest.approx(alone)


def test_thresholds_and_temperatures_are_chosen_on_validation_only(tmp_path, no_figures):
    def other_test(_model: str, _fold: int, table: pd.DataFrame) -> pd.DataFrame:
        real = table.p_real.where(table.split == "val", 1 - table.p_real)
        return table.assign(p_real=real, p_fake=1 - real)

    def other_val(_model: str, _fold: int, table: pd.DataFrame) -> pd.DataFrame:
        real = table.p_real.where(table.split == "test", table.p_real**3)
        return table.assign(p_real=real, p_fake=1 - real)

    chosen, same, different = (
        read_table(run(tmp_path / str(i), {"a": 0.3}, edit=edit)["choices"]).to_pandas()
        for i, edit in enumerate((lambda _m, _f, t: t, other_test, other_val))
    )
    assert chosen.columns.tolist() == [
        "model",
        "fold",
        "videos",
        "groups",
        "threshold",
        "temperature",
        "bias_fake",
        "bias_real",
        "bounded",
    ]
    assert chosen.videos.tolist() == [30, 30, 30]
    pd.testing.assert_frame_equal(chosen, same)
    assert (chosen.threshold != different.threshold).all()
    assert (chosen.temperature != different.temperature).all()


def test_calibration_uses_the_choices_of_each_fold(tmp_path, no_figures):
    outputs = run(tmp_path, {"a": 0.4})
    rows = {row["metric"]: row for row in read_table(outputs["calibration"]).to_pylist()}
    table, choices = (read_table(outputs[name]).to_pandas() for name in ("predictions", "choices"))
    temperature = choices.temperature.to_numpy()[table.fold]
    bias = (choices.bias_real - choices.bias_fake).to_numpy()[table.fold]
    odds = (table.p_real / table.p_fake) ** (1 / temperature) * np.exp(bias)
    loss = -np.log(np.where(table.label == "real", odds, 1) / (1 + odds)).mean()
    assert rows["log_loss"]["after"] == pytest.approx(loss)
    assert rows["log_loss"]["difference"] == pytest.approx(loss - rows["log_loss"]["before"])
    assert rows["log_loss"]["difference"] < 0
    bins = read_table(outputs["bins"]).to_pandas()
    assert bins.groupby("scaled").predictions.sum().tolist() == [90, 90]
    assert ((bins.low <= bins.frequency) & (bins.frequency <= bins.high)).all()


def test_slices_of_all_kinds_of_facts(tmp_path, no_figures):
    site = ["indoor" if i % 4 else "night_5%" for i in range(90)]
    extras = {"id": [f"v{i:02}" for i in range(90)], "site": site, "take": [str(i) for i in range(90)]}
    slices = read_table(run(tmp_path, {"a": 0.3, "b": 0.4}, extras=extras)["slices"]).to_pandas()
    mine = slices[slices.model == "a"]
    # A single codec or frame rate is no slice, nor is an encoder that is unique to each video.
    assert set(mine.fact) == {"size", "duration", "audio", "brightness", "site", "take"}
    assert mine[mine.fact == "size"].slice.tolist() == [
        "640\N{MULTIPLICATION SIGN}360",
        "640\N{MULTIPLICATION SIGN}361",
    ]
    assert len(mine[mine.fact == "duration"]) == 4
    assert mine[mine.fact == "site"].slice.tolist() == ["indoor", "night_5%"]
    assert mine[mine.fact == "site"].videos.tolist() == [67, 23]
    assert mine[mine.fact == "take"].slice.tolist()[0] == "0 to 22"


def test_latex_is_escaped_and_complete(tmp_path, no_figures):
    outputs = run(tmp_path, {"a_1": 0.2, "b": 0.4}, classes=3)
    comparison, per_class = (outputs[name].read_text() for name in ("comparison_tex", "per_class_tex"))
    assert comparison.startswith(
        "\\begin{tabular}{lllllll}\n\\toprule\nModel & Balanced accuracy & Accuracy & Macro F1"
    )
    assert r"a\_1 & " in comparison
    assert comparison.index("b & ") < comparison.index(r"a\_1 & ")
    assert per_class.count(r"\$odd\$ \textless{}b\textgreater{} & 30 & ") == 2
    assert per_class.count(r" \\" + "\n") == 1 + 2 * 3
    assert per_class.rstrip().endswith("\\bottomrule\n\\end{tabular}")


@pytest.mark.slow
def test_same_input_gives_same_bytes(tmp_path):
    first, second = (run(tmp_path / name, {"a": 0.3, "b": 0.4}) for name in "xy")
    for name, path in first.items():
        assert path.read_bytes() == second[name].read_bytes(), name


@pytest.mark.slow
def test_svg_takes_the_surrounding_text_colour_and_pdf_is_written(tmp_path):
    outputs = run(tmp_path, {"a": 0.3})
    for name in FIGURES:
        text = outputs[name].read_text()
        assert text.startswith(f'<svg id="{name}-figure" role="img" aria-label=')
        assert "currentColor" in text
        assert "#808080" not in text
        assert outputs[f"{name}_pdf"].read_bytes().startswith(b"%PDF-1.4")


def _drop(model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
    return table[~table.id.isin(["v00", "v01"])] if model == "b" and fold == 0 else table


def _double(model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table[table.id == "v00"]]) if model == "b" and fold == 0 else table


def _swap(model: str, fold: int, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(split=table.split.map({"test": "val", "val": "test"})) if model == "b" else table


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_drop, "b: of 90 usable videos, 2 are missing"),
        (_double, "b: of 90 usable videos, 0 are missing .* 1 are duplicated"),
        (_swap, "b: .* 0 are duplicated; 90 rows are not in their fold's test split"),
    ],
)
def test_each_video_must_be_predicted_exactly_once(tmp_path, edit, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, {"a": 0.3, "b": 0.4}, edit=edit)


def test_a_quarantined_video_cannot_be_used(tmp_path, no_figures):
    outputs = run(tmp_path, {"a": 0.3})
    write_table(tmp_path / "bad.parquet", [dict.fromkeys(QUARANTINE.names, "") | {"id": "v07"}], QUARANTINE)
    paths = {"a": [tmp_path / "a" / f"fold-{fold}" / "predictions.parquet" for fold in range(3)]}
    files = {"splits": tmp_path / "splits.parquet", "quarantine": tmp_path / "bad.parquet"}
    task = EvaluationTask(predictions=paths, **files, metadata=[], features=[], extras={}, outputs=outputs, seed=1)
    with pytest.raises(ValueError, match="1 videos are both used and quarantined, such as 'v07'"):
        evaluate(task)


TABLES = [name for name in OUTPUTS if "_" not in name and name not in (*FIGURES, "unlabelled")]


def test_videos_without_a_label_are_answered_by_all_folds_and_change_nothing_else(tmp_path, no_figures):
    without = run(tmp_path / "without", {"a": 0.3, "b": 0.4})
    outputs = run(tmp_path / "with", {"a": 0.3, "b": 0.4}, unlabelled=2)
    for name in TABLES:
        pd.testing.assert_frame_equal(pd.read_parquet(outputs[name]), pd.read_parquet(without[name]), check_exact=True)
    assert len(pd.read_parquet(without["unlabelled"])) == 0
    found = pd.read_parquet(outputs["unlabelled"])
    assert sorted(zip(found.model, found.id, strict=True)) == [(m, i) for m in "ab" for i in ("u0", "u1")]
    choices = pd.read_parquet(outputs["choices"]).query("model == 'a'").set_index("fold")
    given = [np.array([[0.2 + 0.2 * f, 0.8 - 0.2 * f]]) for f in range(3)]
    added = choices[["bias_fake", "bias_real"]].to_numpy()
    each = np.array([scale(given[f], choices.temperature[f], added[f])[0] for f in range(3)])
    row = found[(found.model == "a") & (found.id == "u0")].iloc[0]
    np.testing.assert_allclose([row.p_fake, row.p_real], each.mean(axis=0))
    assert row.predicted == ("fake", "real")[each.mean(axis=0).argmax()]
    assert row.spread == pytest.approx(each[:, each.mean(axis=0).argmax()].std())
    assert row.folds == 3


def test_the_positive_class_can_be_named(tmp_path, no_figures):
    usual = run(tmp_path / "usual", {"a": 0.1})
    last = run(tmp_path / "last", {"a": 0.1}, positive="real")
    for name in TABLES:
        assert Path(last[name]).read_bytes() == Path(usual[name]).read_bytes()
    outputs = run(tmp_path / "first", {"a": 0.1}, positive="fake")

    def values(tables):
        table = pd.read_parquet(tables["metrics"]).query("scope == 'pooled'")
        return table.set_index(["class", "decision", "metric"])["value"]

    first, before = values(outputs), values(usual)
    predictions = pd.read_parquet(outputs["predictions"])
    wanted = average_precision_score(predictions.label == "fake", predictions.p_fake)
    assert first["", "", "average_precision"] == pytest.approx(wanted)
    assert first["", "", "average_precision"] != pytest.approx(before["", "", "average_precision"])
    for name in ("accuracy", "log_loss"):
        decision = "argmax" if name == "accuracy" else ""
        assert first["", decision, name] == pytest.approx(before["", decision, name])
    thresholds = [pd.read_parquet(tables["choices"]).threshold for tables in (outputs, usual)]
    np.testing.assert_allclose(thresholds[0], 1 - thresholds[1])


def varied(spread):
    """Give the model `cnn` three trainings in each fold, whose mean is what it says without them."""

    def edit(model, fold, table):
        if model != "cnn":
            return table
        random = np.random.default_rng(fold)
        change = random.normal(size=(3, len(table)))
        change = spread * (change - change.mean(axis=0))
        for k, own in enumerate(change):
            table = table.assign(**{f"p{k}_fake": table.p_fake + own, f"p{k}_real": table.p_real - own})
        return table

    return edit


def test_chance_in_training_widens_intervals_and_weakens_tests_and_changes_no_value(tmp_path, no_figures):
    skills = {"cnn": 0.3, "other": 0.2, "third": 0.2}
    found = [run(tmp_path / f"{spread}", skills, edit=varied(spread)) for spread in (0.0, 0.3)]
    compared, calibrated, pairs = (
        [read_table(own[name]).to_pandas() for own in found] for name in ("comparison", "calibration", "pairs")
    )
    alike, apart = (table.set_index("model") for table in compared)
    assert alike.value.equals(apart.value)
    assert apart.low["cnn"] < alike.low["cnn"] - 0.005
    assert apart.corrected_low["cnn"] < alike.corrected_low["cnn"] - 0.005
    assert apart.low["other"] == alike.low["other"]
    assert (apart.difference_low[["other", "third"]] < alike.difference_low[["other", "third"]]).all()
    alike, apart = pairs
    with_cnn = (alike.model == "cnn") | (alike.other == "cnn")
    assert (apart.p_bootstrap > alike.p_bootstrap)[with_cnn].all()
    assert apart.p_bootstrap[~with_cnn].equals(alike.p_bootstrap[~with_cnn])
    alike, apart = (table.query("model == 'cnn'") for table in calibrated)
    assert (apart.before_high - apart.before_low > alike.before_high - alike.before_low).all()
    assert (apart.difference_high - apart.difference_low > alike.difference_high - alike.difference_low).all()
