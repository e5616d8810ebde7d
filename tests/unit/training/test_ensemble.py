"""The ensemble: weights from the validation videos alone, and its entry in the config."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipfold.models.entries import plan_models
from clipfold.models.mixing import combine
from clipfold.storage.files import read_json, read_table, write_table
from clipfold.training.cascade import NEVER, sure_enough
from clipfold.training.final import best_member
from clipfold.training.on_predictions import fit
from clipfold.training.task import Task
from clipfold.training.weights import fit_weights, log_loss

PLAN = {"largest_size": 112, "most_frames": 16}


def draw(random, members, videos, classes):
    return random.dirichlet(np.ones(classes), (members, videos)), random.integers(0, classes, videos)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(2, 4))
def test_weights_are_shares_and_no_worse_than_equal_ones(seed, members, classes):
    probabilities, targets = draw(np.random.default_rng(seed), members, 40, classes)
    weights = fit_weights(probabilities, targets)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert (
        log_loss(weights, probabilities, targets) <= log_loss(np.ones(members) / members, probabilities, targets) + 1e-6
    )


def test_the_member_that_knows_gets_the_weight():
    random = np.random.default_rng(0)
    probabilities, targets = draw(random, 3, 200, 2)
    probabilities[1] = np.where(np.eye(2)[targets] > 0, 0.9, 0.1)
    assert fit_weights(probabilities, targets)[1] > 0.9


def test_one_video_does_not_decide_alone():
    weights = fit_weights(np.array([[[0.1, 0.9]], [[0.4, 0.6]]]), np.array([1]))
    assert 0.5 < weights[0] < 0.7


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 4), st.sampled_from([0.0, 0.05, 0.3]))
def test_a_cascade_loses_no_more_than_stated_and_stops_no_sooner(seed, videos, classes, loss):
    (cheap, careful), targets = draw(np.random.default_rng(seed), 2, videos, classes)
    cheap = cheap.round(1)  # several are equally sure
    enough = sure_enough(cheap, careful, targets, loss)

    def lost(bound):
        combined = combine({"enough": bound}, np.stack([cheap, careful]))
        right = [(each.argmax(axis=1) == targets).sum() for each in (careful, combined)]
        return right[0] - right[1]

    assert lost(enough) <= loss * videos
    lower = [bound for bound in np.unique(cheap.max(axis=1)) if bound < enough]
    if lower and enough != NEVER:  # the next video, at least one of those that are equally sure, loses too much
        order = np.argsort(-cheap.max(axis=1), kind="stable")
        better = (careful.argmax(axis=1) == targets)[order].astype(int) - (cheap.argmax(axis=1) == targets)[order]
        answered = int((cheap.max(axis=1) >= lower[-1]).sum())
        assert np.cumsum(better)[:answered].max() > loss * videos


def test_a_cascade_asks_the_second_member_only_where_the_first_is_unsure(tmp_path):
    record, predictions = write_fold(tmp_path, 0.2, mix="cascade", trainings=2)
    assert record["chosen"] == {"enough": record["enough"]}
    members = [read_table(tmp_path / f"{name}.parquet").to_pandas().set_index("id") for name in "xy"]
    found = predictions.set_index("id")
    cheap, careful = (member.loc[found.index] for member in members)
    for p in ("p", "p0", "p1"):
        own = cheap[[f"{p}_a", f"{p}_b"]].to_numpy()
        exits = own.max(axis=1) >= record["enough"]
        expected = np.where(exits[:, None], own, careful[["p_a", "p_b"]].to_numpy())
        np.testing.assert_array_equal(found[[f"{p}_a", f"{p}_b"]].to_numpy(), expected)
    assert record["exits"] == (cheap[found.split == "val"][["p_a", "p_b"]].max(axis=1) >= record["enough"]).mean()


def write_fold(folder, test_values, mix="mean", trainings=0):
    ids = [f"v{i:02}" for i in range(30)]
    splits = ["train"] * 10 + ["val"] * 10 + ["test"] * 10
    labels = ["a", "b"] * 15
    splits = pd.DataFrame({"id": ids, "label": labels, "group": ids, "fold": 0, "split": splits})
    write_table(folder / "splits.parquet", pa.Table.from_pandas(splits, preserve_index=False))
    random = np.random.default_rng(1)
    paths = []
    for member in "xy":
        table = splits.loc[splits.split != "train", ["id", "label", "split"]].sample(frac=1, random_state=3)
        p = np.where(table.split == "test", test_values, random.random(len(table)))
        table = table.assign(p_a=1 - p, p_b=p)
        for k in range(trainings if member == "x" else 0):  # about the mean, and this of both
            table = table.assign(**{f"p{k}_a": 1 - p - 0.1 + 0.2 * k, f"p{k}_b": p + 0.1 - 0.2 * k})
        paths.append(folder / f"{member}.parquet")
        write_table(paths[-1], pa.Table.from_pandas(table, preserve_index=False))
    outputs = {name: folder / name for name in ("model", "history", "predictions", "record")}
    task = Task(
        module="",
        settings={"members": ["x", "y"], "mix": mix, "loss": 0.1},
        data={"predictions": paths},
        splits=folder / "splits.parquet",
        fold=0,
        outputs=outputs,
        seed=0,
        threads=1,
        scratch=folder,
        stored_size=112,
    )
    fit(task)
    return read_json(outputs["record"]), read_table(outputs["predictions"]).to_pandas()


def test_test_predictions_change_no_weight(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    record, predictions = write_fold(tmp_path / "one", 0.2)
    other, _ = write_fold(tmp_path / "two", 0.7)
    assert record["weights"] == other["weights"]
    assert 0 < record["weights"]["x"] < 1
    assert predictions[predictions.split == "test"].p_b.to_numpy() == pytest.approx(0.2)
    assert (predictions.split == "val").sum() == 10


def test_an_ensemble_varies_as_its_members_do_and_is_the_mean_of_its_trainings(tmp_path):
    record, predictions = write_fold(tmp_path, 0.4, trainings=2)
    for k, change in enumerate((0.1, -0.1)):
        expected = predictions.p_b + change * record["weights"]["x"]
        assert predictions[f"p{k}_b"].to_numpy() == pytest.approx(expected.to_numpy())
    assert "p2_b" not in predictions


def test_a_select_gives_all_weight_to_the_member_that_is_best_on_validation(tmp_path):
    record, predictions = write_fold(tmp_path, 0.2, mix="best")
    losses = {each["member"]: each["loss"] for each in record["tried"]}
    best = min(losses, key=losses.get)
    assert record["chosen"] == {"member": best}
    assert record["weights"] == {name: float(name == best) for name in "xy"}
    own = read_table(tmp_path / f"{best}.parquet").to_pandas().set_index("id").p_b
    found = predictions.set_index("id").p_b
    assert found.to_dict() == pytest.approx(own[found.index].to_dict())
    assert best_member([record]) == best


def test_members_are_all_others_by_default():
    models = plan_models(["svm", "ensemble", "naive_cnn"], **PLAN)
    assert models[1].settings["members"] == ["svm", "naive_cnn"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            ["svm", {"architecture": "ensemble", "members": ["svm", "cmv"]}],
            "members is 'cmv': use names of other entries",
        ),
        (["svm", "naive_cnn", {"architecture": "ensemble", "members": ["svm", "ensemble"]}], "members is 'ensemble'"),
        (["svm", "ensemble"], "name two or more"),
        (["svm", "naive_cnn", {"architecture": "ensemble", "mix": "cascade"}], "name two, the cheap one first"),
        (["svm", "naive_cnn", {"architecture": "ensemble", "members": ["svm", "svm"]}], "name two or more"),
        (
            [{"architecture": "naive_cnn", "seeds": 2}, {"architecture": "x3d", "seeds": 3}, "svm", "ensemble"],
            "give those with several seeds the same number",
        ),
    ],
)
def test_wrong_members_are_named(entries, message):
    with pytest.raises(ValueError, match=message):
        plan_models(entries, **PLAN)
