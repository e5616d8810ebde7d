"""The forecast of a run: estimates that grow with the work, records that replace them, disk that is there."""

import sys
from collections import Counter
from dataclasses import replace

import pytest
from helpers.pictures import encoded, pixels, write_folder, write_tar

from clipfold.demo.write import make_demo
from clipfold.models.entries import plan_models, plan_shortcuts
from clipfold.resources.forecast import Work, disk_bytes, forecast, machine_speed, megapixels, seconds_of
from clipfold.resources.usage import Request, Usage

ASKED = Request(memory_mb=2000, runtime=60, threads=2, gpus=1)
SETTINGS = {"epochs": 30, "size": 64, "seeds": 1, "refit": False}
NETWORK = {"input": "clips", "settings": SETTINGS, "gmac": 0.07, "embedded": False}
WORK = Work(
    videos=48,
    shards=1,
    groups=1,
    megapixels=65,
    copies=2,
    stored={"clips": 602_112, "motion": 262_144, "native": 147_456},
    size=112,
    folds=5,
    models={"cnn": NETWORK, "svm": {"input": "features", "settings": {}, "gmac": 0.0}},
)
DATA = (
    "probe",
    "decode",
    "augment",
    "resize",
    "features",
    "hashes",
    "matches",
    "splits",
    "audit",
    "evaluate",
    "report",
)


@pytest.mark.parametrize("rule", [*DATA, "copies", "train_cnn", "train_svm", "explain_svm"])
def test_more_videos_take_longer(rule):
    assert seconds_of(rule, replace(WORK, videos=96), 2, 0) > seconds_of(rule, WORK, 2, 0) > 0


def test_each_combination_of_grids_is_fitted_in_every_inner_fold():
    def seconds(**settings):
        models = {"svm": {"input": "features", "settings": settings, "gmac": 0.0}}
        return seconds_of("train_svm", replace(WORK, models=models), 1, 0)

    one, two, four = seconds(C=1), seconds(C={"grid": [1, 2]}), seconds(C={"grid": [1, 2]}, gamma={"grid": [1, 2]})
    assert four - two == pytest.approx(2 * (two - one))
    assert two > one


def test_more_pixels_epochs_and_operations_take_longer_and_a_faster_machine_less():
    assert seconds_of("decode", replace(WORK, megapixels=6500), 2, 0) > 2 * seconds_of("decode", WORK, 2, 0)
    more = [{"settings": SETTINGS | change} for change in ({"epochs": 60}, {"seeds": 2}, {"refit": True})]
    for change in (*more, {"gmac": 7.0}):
        assert seconds_of("train_cnn", replace(WORK, models={"cnn": NETWORK | change}), 2, 0) > 1.5 * seconds_of(
            "train_cnn", WORK, 2, 0
        )
    assert 1 < seconds_of("final_cnn", WORK, 2, 0) / seconds_of("train_cnn", WORK, 2, 0) < 1 / (0.8 * 0.8)
    assert seconds_of("train_cnn", WORK, 2, 1) < seconds_of("train_cnn", WORK, 2, 0)
    assert seconds_of("probe", replace(WORK, speed=2.0), 2, 0) == seconds_of("probe", WORK, 2, 0) / 2
    assert 0.25 <= machine_speed() <= 4


@pytest.mark.parametrize(("videos", "megapixels", "measured"), [(48, 74, 165), (120, 2307, 205)])
def test_measured_first_runs_are_forecast_on_the_upper_side_within_a_factor_of_3(videos, megapixels, measured):
    """The demo and 120 surveillance clips on 2 idle cores; measured in seconds of a job times its threads."""
    names = ["logistic_regression", "svm", "naive_cnn"]
    models = [*plan_models(names, largest_size=112, most_frames=16), *plan_shortcuts()]
    facts = {m.name: {"input": m.input, "settings": m.settings, "gmac": m.gmac, "embedded": False} for m in models}
    work = replace(WORK, videos=videos, megapixels=megapixels, models=facts)
    two_threads = {"probe", "decode", "matches", "train_naive_cnn", "explain_naive_cnn"}
    rules = [*DATA, "check_leakage", "collect_clips_64", "collect_features"]
    rules += [f"{stage}_{name}" for name in names for stage in ["explain", *["train"] * 5]] + ["train_shortcuts"] * 5
    threads = [2 if rule in two_threads else 1 for rule in rules]
    total = sum(n * seconds_of(rule, work, n, 0) for rule, n in zip(rules, threads, strict=True))
    assert 1 < total / measured < 3


def test_a_frozen_encoder_costs_once_and_not_in_every_epoch():
    large = NETWORK | {"gmac": 40.0}
    frozen = replace(WORK, models={"vit": large | {"embedded": True}, "vit_key": large | {"embedded": True}})
    whole = replace(WORK, models={"vit": large})
    once = seconds_of("embed_vit_key", frozen, 2, 0)
    assert once > 48 * 3 * 40 / 60
    assert once + 5 * seconds_of("train_vit", frozen, 2, 0) < seconds_of("train_vit", whole, 2, 0)


def test_recorded_times_replace_estimates():
    jobs = [("train_x3d", ASKED)] * 4
    said = forecast(jobs, {"train_x3d": [Usage(1800, 1), Usage(5400, 1)]}, WORK, 4, 1, 1e12)
    assert said.startswith("Forecast: 4 jobs, about 2.0 hours (until 2")  # 4 x 1 hour x 2 threads on 4 cores
    assert "8 core-hours, 0.08 kWh" in said
    assert "estimates" not in said
    on_cluster = forecast([("decode", ASKED)] * 10, {"decode": [Usage(3600, 1)]}, WORK, None, 5, 1e12)
    assert "about 2.0 hours" in on_cluster
    assert "10 GPU-hours" in on_cluster
    mixed = forecast([*jobs, ("decode", ASKED)], {"train_x3d": [Usage(1800, 1)]}, WORK, 4, 1, 1e12)
    assert mixed.endswith("Recorded times for 1 of 2 rules, estimates for the others.")


def test_results_that_do_not_fit_on_the_disk_are_said():
    replayed = Counter({"decode": 1, "augment": 1, "resize": 1, "hashes": 1, "train_cnn": 5})
    stored = disk_bytes(replayed | Counter({"copies": 1}), WORK)
    assert stored - disk_bytes(replayed, WORK) == pytest.approx(48 * 2 * 602_112 * (64 / 112) ** 2)
    assert 60e6 < disk_bytes(replayed, WORK) < 120e6
    said = forecast([("decode", ASKED), ("resize", ASKED)], {}, WORK, 2, 1, 1e6)
    assert said.splitlines()[-1].startswith("The results need about 58 MB, but only 1 MB are free")


def test_pixels_of_folders_and_members_are_estimated(tmp_path):
    frames = {f"{index}.png": encoded(pixels(index, size=(100, 80))) for index in range(25)}
    write_tar(tmp_path / "shard.tar", {"a.mp4": b"no video", "b.mp4": b""})
    others = [str(write_folder(tmp_path / "frames", frames)), str(tmp_path / "shard.tar/a.mp4")]
    command = [sys.executable, "-m", "clipfold.video.sample"]
    assert megapixels([], others, command, seconds=60) == pytest.approx(2 * 25 * 100 * 80 / 1e6)


def test_pixels_are_estimated_from_a_few_videos(tmp_path):
    make_demo(tmp_path, sources=2)
    files = [(str(path), path.stat().st_size) for path in sorted((tmp_path / "videos").glob("*.mp4"))]
    command = [sys.executable, "-m", "clipfold.video.sample"]
    found = megapixels(files, [], command, seconds=60)
    assert 0.5 < found / (len(files) * 1.4) < 2  # some 45 frames of 176 x 176
    odd = [(str(tmp_path / "gone.mp4"), 1000), (str(tmp_path / "videos.csv"), 1000)]
    assert megapixels(odd, [], command, seconds=60) == megapixels(odd, [], ["false"]) == pytest.approx(0.2)
    assert megapixels(files, [], ["sleep", "9"], seconds=0.1) == pytest.approx(1e-4 * sum(size for _, size in files))
