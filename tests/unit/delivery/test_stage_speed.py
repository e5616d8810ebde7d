"""Measuring the stages: real films, real ffmpeg, and what is said of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.finished_run import CLIPS, FEATURES

from clipfold.cli_benchmark import benchmark
from clipfold.delivery import stage_speed
from clipfold.delivery.stage_speed import Speed, advice, find_ffmpeg, make_film, measure, standard_views, table


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_film(find_ffmpeg(), tmp_path_factory.mktemp("film"), "480p")


def test_model_sees_the_clip_of_the_film(film):
    seen = []
    speed = measure(find_ffmpeg(), film, "480p", standard_views(), lambda *given: seen.append(given))
    assert speed.frames == 25
    assert min(speed.floor, speed.decode, speed.prepare, speed.model) > 0
    clips, boxes = seen[0]
    assert clips.shape == (1, 16, 112, 112, 3)
    assert clips.std() > 10
    assert boxes.tolist() == [[24, 0, 63, 112]]


def test_a_name_like_an_address_is_a_file(film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = Path(shutil.copy(film, "http:film.mp4"))
    assert measure(find_ffmpeg(), name, "film", standard_views(), lambda *_: None).frames == 25


def test_naive_cnn_predicts_two_classes():
    logits = stage_speed.naive_cnn()(np.zeros((1, 16, 112, 112, 3), np.uint8), np.array([[0, 0, 112, 112]]))
    assert len(logits) == 1


def test_command_measures_given_videos(film, tmp_path, run, capsys):
    benchmark([film], str(run.bundle(CLIPS)), tmp_path / "speed.json")
    found = json.loads((tmp_path / "speed.json").read_text())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("VIDEO")
    assert lines[-1] == found["advice"]
    assert [video["name"] for video in found["videos"]] == ["480p.mp4"]
    assert found["skipped"] == {}


def test_command_refuses_models_on_features(film, run):
    with pytest.raises(ValueError, match="use one whose models read clips"):
        benchmark([film], str(run.bundle(FEATURES)), None)


def test_films_that_do_not_fit_are_skipped_with_the_reason(monkeypatch):
    assert stage_speed.too_large("480p", 0, 0, 60) == ""
    assert "would take 40 s more" in stage_speed.too_large("480p", 30, 10, 60)
    monkeypatch.setattr(stage_speed, "_free_memory", lambda: 10**9)
    assert "needs 2.0 GB of memory" in stage_speed.too_large("4320p", 0, 0, 60)


def test_damaged_video_is_refused(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(ValueError, match="use another"):
        measure(find_ffmpeg(), tmp_path / "bad.mp4", "bad", standard_views(), lambda *_: None)


@pytest.mark.parametrize(
    ("speeds", "bound", "helps"),
    [
        ((100, 900, 900), "decode", "more cores; `--workers` is 4"),
        ((900, 100, 900), "prepare", "decode.views"),
        ((900, 900, 100), "model", "smaller model"),
    ],
)
def test_advice_names_the_slowest_stage(speeds, bound, helps):
    speed = Speed("film", 25, 200, *speeds)
    assert speed.together == pytest.approx(900 / 11)
    said = advice([speed], 4)
    assert f"{bound} bounds this machine (82 %" in said
    assert helps in said
    assert list(table([speed]))[1].endswith(bound)
