"""Test how networks were trained, and what would make it faster."""

import json

from clipfold.resources.speed import read_speeds, summarise, table


def record(speed=10.0, busy=40.0, memory=0.1, remedy="compile: default", **facts):
    verdict = f"bound by launching kernels at {speed}"
    found = {"clips_per_second": speed, "device_utilisation": busy, "device_memory_share": memory}
    return {"device": "NVIDIA H200", "speed": found | {"verdict": verdict, "remedy": remedy}} | facts


def test_fits_of_a_model_are_summarised():
    found = summarise("x3d", [record(), record(20.0, 60.0, 0.3, "")])
    assert (found.fits, found.device, found.clips_per_second) == (2, "NVIDIA H200", 15)
    assert (found.busy, found.memory) == (50, 0.3)
    assert (found.bound, found.remedy) == ("bound by launching kernels at 10.0", "compile: default")


def test_a_fit_on_a_cpu_says_why():
    (line, advice) = table(
        [summarise("x3d", [record(busy=None, memory=None, remedy="", device="cpu", why_cpu="no driver")])]
    ).split("\n")
    assert line == "train_x3d: 10 clips/s on cpu: no driver"
    assert advice == "  bound by launching kernels at 10.0"


def test_what_is_known_of_a_gpu_is_told():
    text = table([summarise("x3d", [record()])])
    assert text.startswith("train_x3d: 10 clips/s on NVIDIA H200, busy 40 % of the time, 10 % of its memory\n")
    assert text.endswith("what would help most: compile: default")


def test_models_on_features_and_odd_records_are_left_out(tmp_path):
    contents = {"x3d": json.dumps(record()), "svm": "{}", "cut": "{", "odd": json.dumps(record(speed="fast"))}
    for name, content in contents.items():
        (tmp_path / name / "fold-0").mkdir(parents=True)
        (tmp_path / name / "fold-0/fit.json").write_text(content)
    assert [speed.model for speed in read_speeds(tmp_path)] == ["x3d"]
    assert read_speeds(tmp_path / "missing") == []
