"""Every setting is declared once and checked; the reference follows from the declarations."""

from pathlib import Path

import pytest

from clipfold.models import reference
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.entries import plan_models
from clipfold.storage import fingerprint

BAD = {
    "frames": 0,
    "size": 8,
    "batch_size": 0,
    "accumulate": 0,
    "epochs": 0,
    "patience": 0,
    "plateau_patience": 0,
    "dropout": 1.0,
    "sampler": "random",
    "class_weight": None,
    "loss": "hinge",
    "focal_gamma": -0.1,
    "focal_alpha": 1.5,
    "label_smoothing": 1.0,
    "flip": 1.1,
    "crop": 0.0,
    "jitter": 1.1,
    "mixup": -1.0,
    "optimizer": "adam",
    "learning_rate": 0.0,
    "weight_decay": -1.0,
    "schedule": "linear",
    "warmup": 1.0,
    "clip_norm": float("nan"),
    "ema": 1.0,
    "on_nan": "skip",
    "precision": "fp8",
    "compile": "all",
    "device": "gpu",
    "workers": -1,
    "checkpoint_epochs": -1,
    "checkpoint_minutes": -1.0,
    "encoder": "resnet19",
    "hidden": 0,
    "layers": 0,
    "state": "first",
    "unfreeze_at": -1,
    "unfreeze_blocks": -1,
    "lora_rank": -1,
    "backbone_rate": -1.0,
}


def plan(**settings):
    return plan_models([{"name": "mine", "architecture": "vit_gru"} | settings], largest_size=112, most_frames=16)


@pytest.mark.parametrize("key", BAD)
def test_values_that_are_not_accepted_are_refused_by_name(key):
    with pytest.raises(ValueError, match=rf"models: mine: {key} is {BAD[key]!r}: use "):
        plan(**{key: BAD[key]})


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="batch_size is 'auto' and accumulate 1: set accumulate"):
        plan(batch_size="auto")
    with pytest.raises(ValueError, match="unfreeze_at is 3 but freeze is false"):
        plan(unfreeze_at=3)
    with pytest.raises(ValueError, match="compile is 'default' and checkpointing true: PyTorch would"):
        plan(compile="default", checkpointing=True)
    with pytest.raises(
        ValueError, match=r"compile is 'reduce-overhead' and accumulate 2: the CUDA graphs .* use compile: d"
    ):
        plan(compile="reduce-overhead", accumulate=2)
    plan(compile="default", accumulate=2)
    plan(batch_size="auto", accumulate=32, compile="max-autotune")
    plan(unfreeze_at=3, freeze=True)


def test_a_model_on_the_cpu_requests_no_gpu_and_one_on_a_gpu_requests_one():
    assert [plan(device=device)[0].needs.gpus for device in ("auto", "cuda", "cpu")] == [1, 1, 0]
    with pytest.raises(ValueError, match="mine: gpus is 1: device is 'cpu': name only one of them"):
        plan(device="cpu", gpus=1)
    with pytest.raises(ValueError, match="mine: gpus is 0: device is 'cuda': name only one of them"):
        plan(device="cuda", gpus=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_setting_has_a_documented_default_and_refuses_something(name):
    for key, setting in ARCHITECTURES[name].declared.items():
        setting.check(key, setting.default)
        assert setting.doc
        assert setting.accepted
        if isinstance(setting.default, int | float) and not isinstance(setting.default, bool):
            assert setting.low is not None or setting.above is not None, f"{key}: any number would pass"
        if isinstance(setting.default, str):
            assert setting.choices or setting.also, f"{key}: any text would pass"
        with pytest.raises(ValueError, match=rf"{key} is \{{\}}: use "):
            setting.check(key, {})


def test_the_reference_in_the_readme_is_that_of_the_declarations():
    page = (Path(__file__).parents[3] / "config/README.md").read_text()
    assert reference.insert(page) == page, "run: python -m clipfold.models.reference config/README.md"


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match="no markers: add the lines"):
        reference.insert("# Config")


@pytest.mark.parametrize(
    "stage", ["training.on_clips", "training.on_features", "training.on_predictions", "models.embed"]
)
def test_no_stage_imports_the_declarations(stage):
    """A new setting or architecture would retrain everything."""
    seen, pending = set(), [f"clipfold.{stage}"]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(fingerprint._read(fingerprint._locate(name))[1])
    assert not seen & {
        f"clipfold.models.{name}" for name in ("declare", "settings", "architecture", "catalog", "entries", "model")
    }
