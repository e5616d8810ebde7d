"""The plan of a run, made without Snakemake."""

import csv

import pytest

from clipfold.models.settings import ON_FEATURES
from clipfold.plan import Plan, encoder_key

VIT = {"architecture": "vit_gru", "weights": "pretrained", "freeze": True}


@pytest.fixture
def folder(tmp_path):
    with open(tmp_path / "videos.csv", "w", newline="") as file:
        rows = [(f"{i}.mp4", ("real", "fake")[i % 2], f"g{i // 2}", i / 2, "train") for i in range(12)]
        csv.writer(file).writerows([("path", "label", "group", "score", "split"), *rows])
    return tmp_path


def plan(folder, **values):
    return Plan.from_config(values, [folder])


def test_defaults_plan_everything(folder):
    made = plan(folder)
    assert [model.name for model in made.models][:4] == ["logistic_regression", "svm", "feature_ensemble", "naive_cnn"]
    assert [model.name for model in made.shortcuts] == [
        f"shortcut_{name}" for name in ("container", "sound", "brightness", "colour", "mean_frame", "still", "shuffled")
    ]
    assert made.models[-7:] == made.shortcuts
    assert made.configured == made.explained == made.models[:4]
    assert (made.folds, list(made.shards), made.size, [*made.views]) == (
        range(5),
        ["0-of-1"],
        112,
        ["clips", "motion", "native"],
    )
    assert made.encoders == {}
    assert made.light_shortcuts == made.shortcuts
    assert made.extras()["score"][:2] == ["0.0", "0.5"]


def test_candidates_are_fitted_but_neither_scored_nor_explained_nor_bundled(folder):
    models = ["svm", {"name": "chosen", "select": ["svm", {"architecture": "naive_cnn"}]}]
    made = plan(folder, models=models, shortcuts=False)
    assert [model.name for model in made.configured] == ["svm", "chosen__2", "chosen"]
    assert [model.name for model in made.scored] == ["svm", "chosen"]
    assert [model.name for model in made.explained] == ["svm"]
    with pytest.raises(ValueError, match=r"bundle\.models is 'chosen__2'"):
        plan(folder, models=models, bundle={"models": ["chosen__2"]})


def test_a_frozen_encoder_whose_views_are_averaged_embeds_nothing_ahead(folder):
    assert plan(folder, models=[VIT]).encoders
    assert not plan(folder, models=[VIT | {"views_at_test": 2}]).encoders


def test_parts_that_models_share_are_found(folder):
    made = plan(folder, models=["x3d", VIT, VIT | {"name": "again", "hidden": 8}], shortcuts=False, shard_size=4)
    assert list(made.encoders) == [encoder_key(made.models[1].encoder)]
    assert made.shortcuts == []
    encoded = plan(folder, models=["x3d", VIT, VIT | {"name": "again", "hidden": 8}]).shortcuts[-1]
    assert (encoded.name, encoded.settings) == ("shortcut_still_vit_gru", made.models[1].settings | {"frames": 1})
    assert all(len(videos) <= 4 for videos in made.shards.values())
    assert sum(map(len, made.shards.values())) == 12


def test_the_report_gets_every_setting_of_every_configured_model(folder):
    described = plan(folder, models=[{"architecture": "svm", "C": 2.0}]).described
    features = ON_FEATURES["features"].default
    assert described["models"] == [
        {"name": "svm", "architecture": "svm", "features": features, "class_weight": "balanced", "C": 2.0}
        | {"kernel": "rbf", "gamma": "scale", "most_videos": 10_000, "scaling": "variance", "keep": 1.0}
    ]
    assert described["probe"]["min_frames"] == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modles": []}, "modles is not a key"),
        ({"manifest": "other.csv"}, "manifest is 'other.csv': no such file"),
        ({"manifest": ""}, "manifest is '': name a CSV"),
        (
            {"manifest": "", "predict": {"manifest": "videos.csv"}},
            "predict.bundle, without a manifest, is 'best': name the path of a .clipfold file",
        ),
        ({"models": ["svn"]}, "did you mean 'svm'"),
        ({"bundle": {"models": ["svn"]}}, "bundle.models is 'svn': did you mean 'svm'"),
        (
            {"bundle": {"models": [3]}},
            "bundle.models is 3: use one of best, logistic_regression, svm, feature_ensemble, naive_cnn",
        ),
        ({"bundle": {"models": ["shortcut_still"]}}, "bundle.models is 'shortcut_still': use one of best"),
        ({"models": [{"architecture": "svm", "name": "best"}]}, "models: name is 'best': use another"),
        ({"splits": {"folds": 7}}, "splits.folds is 7: use at most 6, the number of groups in the manifest"),
        ({"splits": {"scheme": "column"}}, "no row with label .* has 'test' in split"),
    ],
)
def test_mistakes_end_the_plan(folder, values, message):
    with pytest.raises(ValueError, match=message):
        plan(folder, **values)


def test_without_a_manifest_new_videos_are_predicted_and_nothing_is_trained(folder):
    made = plan(folder, manifest="", predict={"manifest": "videos.csv", "bundle": "fights.clipfold"})
    assert not made.trains
    assert (made.models, made.shards, [*made.folds], made.configured) == ([], {}, [], [])
    assert len(made.new_videos) == 12
    assert plan(folder).trains


def test_any_configured_model_and_the_best_can_be_bundled(folder):
    wanted = {"models": ["best", "svm", "mine"], "final": True}
    made = plan(folder, models=["svm", {"architecture": "svm", "name": "mine"}], bundle=wanted)
    assert made.settings["bundle"] == wanted


def test_advice_on_folds_leads_out(folder):
    assert plan(folder, splits={"folds": 6}).folds == range(6)


def test_rows_without_a_label_are_planned_but_in_no_fold(folder):
    rows = [f"{i}.mp4,{'ab'[i % 2]},g{i // 2},{'test' if i < 4 else 'train'}\n" for i in range(12)]
    (folder / "known.csv").write_text("path,label,group,split\n" + "".join(rows))
    (folder / "all.csv").write_text("path,label,group,split\n" + "".join(rows) + "new,\u200b,g0,\nnewer,,g1;g2,\n")
    column = {"splits": {"scheme": "column"}}
    before, made = (plan(folder, manifest=f"{name}.csv", **column) for name in ("known", "all"))
    assert len(made.videos) == len(before.videos) + 2
    assert made.given_splits == before.given_splits
    assert {v.group for v in made.videos if v.label} == {v.group for v in before.videos}
    scheme = {"splits": {"scheme": "leave_one_group_out"}}
    assert plan(folder, manifest="all.csv", **scheme).folds == plan(folder, manifest="known.csv", **scheme).folds


def test_most_rows_need_a_label(folder):
    with open(folder / "videos.csv", "a", newline="") as file:
        csv.writer(file).writerows([(f"new{i}.mp4", "", f"g{i}", 1, "") for i in range(13)])
    with pytest.raises(ValueError, match=r"rows without label is 13: that is most of 25: .* predict\.manifest"):
        plan(folder)


def test_the_positive_class_is_one_of_two(folder):
    assert plan(folder).positive == ""
    assert plan(folder, positive=" fake ").positive == "fake"
    with pytest.raises(ValueError, match="positive is 'Fake': use one of the classes fake, real"):
        plan(folder, positive="Fake")
    with open(folder / "videos.csv", "a", newline="") as file:
        csv.writer(file).writerows([(f"odd{i}.mp4", "odd", f"h{i}", 1, "train") for i in range(4)])
    with pytest.raises(ValueError, match="positive is 'fake': leave it out: with 3 classes"):
        plan(folder, positive="fake")


def test_several_groups_of_a_row_are_one_group_of_the_plan(folder):
    (folder / "pairs.csv").write_text(
        "path,label,group\n" + "".join(f"{i}.mp4,{'ab'[i % 2]},{i // 2}|{i // 2 + 100}\n" for i in range(12))
    )
    made = plan(folder, manifest="pairs.csv", group_separator="|")
    assert len({video.group for video in made.videos}) == 6
    assert {len(video.values) for video in made.videos} == {2}


def test_several_clips_of_a_video_are_a_setting_of_what_learns_from_them(folder):
    views = plan(folder).settings["decode"]["views"]
    frozen = {"architecture": "vit_gru", "encoder": "vit_micro", "freeze": True, "weights": ""}
    values = {"models": ["naive_cnn", "svm", frozen], "encoders": {"whole": {"source": "x3d_xs", "weights": ""}}}
    several, one = (
        plan(folder, **values, decode={"views": {**views, "clips": {**views["clips"], **more}}})
        for more in ({"clips": 3, "frames": 16}, {"clips": 1})
    )
    assert several.views["clips"].shape == (48, 112, 112, 3)
    settings = {model.name: model.settings.get("clips") for model in several.models}
    assert settings["naive_cnn"] == settings["vit_gru"] == 3
    assert settings["svm"] is None
    assert [own["clips"] for own in several.encoders.values()] == [3]
    assert all("clips" not in model.settings for model in one.models)
    assert [*one.encoders] == [*plan(folder, **values).encoders] != [*several.encoders]
    with pytest.raises(ValueError, match=r"models: naive_cnn: frames is 17: use 1 up to decode\.views\.clips\.frames"):
        plan(
            folder,
            models=[{"architecture": "naive_cnn", "frames": 17}],
            decode={"views": {**views, "clips": {**views["clips"], "clips": 3}}},
        )
