"""Settings of training networks on clips, with defaults and ranges. Standard library only: every start reads it."""

from collections.abc import Callable, Mapping
from typing import Any

from clipfold.checks import require

# `batch_size` x `accumulate` is the effective batch: the first has to fit in memory, the product is what trains.
DEFAULTS: dict[str, Any] = {
    "frames": 16,
    "size": 112,
    "batch_size": 8,
    "accumulate": 1,
    "epochs": 30,
    "patience": 10,
    "dropout": 0.2,
    # What is learned from.
    "sampler": "shuffled",
    "class_weight": "balanced",
    "loss": "cross_entropy",
    "focal_gamma": 2.0,
    "focal_alpha": -1.0,
    "label_smoothing": 0.0,
    "flip": 0.0,
    "crop": 1.0,
    "jitter": 0.0,
    "mixup": 0.0,
    # How.
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup": 0.1,
    "plateau_patience": 5,
    "clip_norm": 1.0,
    "ema": 0.0,
    "on_nan": "stop",
    # With what.
    "precision": "fp32",
    "tf32": True,
    "channels_last": True,
    "compile": "none",
    "deterministic": True,
    "checkpointing": False,
    "workers": 2,
    # What is kept.
    "checkpoint_epochs": 1,
    "checkpoint_minutes": 10.0,
    "tensorboard": False,
    "profile": False,
    "memory_detail": False,
}

CHOICES: Mapping[str, tuple[str, ...]] = {
    "sampler": ("shuffled", "balanced"),
    "class_weight": ("balanced", "none"),
    "loss": ("cross_entropy", "focal"),
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "plateau", "constant"),
    "on_nan": ("stop", "halve"),
    "precision": ("fp32", "bf16", "fp16"),
    "compile": ("none", "default", "reduce-overhead", "max-autotune"),
}

_RANGES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "batch_size": (lambda v: v == "auto" or (isinstance(v, int) and v >= 1), "use 1 or more, or auto"),
    "accumulate": (lambda v: v >= 1, "use 1 or more"),
    "epochs": (lambda v: v >= 1, "use 1 or more"),
    "patience": (lambda v: v >= 1, "use 1 or more epochs"),
    "plateau_patience": (lambda v: v >= 1, "use 1 or more epochs"),
    "dropout": (lambda v: 0 <= v < 1, "use 0 up to, not including, 1"),
    "focal_gamma": (lambda v: v >= 0, "use 0 or more"),
    "focal_alpha": (lambda v: v == -1 or 0 <= v <= 1, "use 0 to 1, or -1 for class_weight"),
    "label_smoothing": (lambda v: 0 <= v < 1, "use 0 up to, not including, 1"),
    "flip": (lambda v: 0 <= v <= 1, "use 0 to 1"),
    "crop": (lambda v: 0 < v <= 1, "use a share above 0, at most 1"),
    "jitter": (lambda v: 0 <= v <= 1, "use 0 to 1"),
    "mixup": (lambda v: v >= 0, "use 0 (off) or more, such as 0.2"),
    "learning_rate": (lambda v: v > 0, "use a positive number"),
    "weight_decay": (lambda v: v >= 0, "use 0 or more"),
    "warmup": (lambda v: 0 <= v < 1, "use a share of all steps below 1"),
    "clip_norm": (lambda v: v >= 0, "use 0 (off) or more"),
    "ema": (lambda v: 0 <= v < 1, "use 0 (off) or a decay such as 0.999"),
    "workers": (lambda v: v >= 0, "use 0 or more"),
    "checkpoint_epochs": (lambda v: v >= 0, "use 0 (off) or more epochs"),
    "checkpoint_minutes": (lambda v: v >= 0, "use 0 (off) or more minutes"),
    "width": (lambda v: v >= 1, "use 1 or more channels"),
    "hidden": (lambda v: v >= 1, "use 1 or more"),
    "layers": (lambda v: v >= 1, "use 1 or more"),
    "depth": (lambda v: v >= 1, "use 1 or more"),
    "heads": (lambda v: v >= 1, "use 1 or more"),
    "unfreeze_at": (lambda v: v >= 0, "use 0 (never) or the number of an epoch"),
    "backbone_rate": (lambda v: v >= 0, "use a factor of 0 or more"),
}


def check_ranges(name: str, settings: Mapping[str, Any]) -> None:
    """Check the settings of a model.

    Args:
        name: of the model, for messages.
        settings: of it; keys that are not of the training are left alone.

    Raises:
        ValueError: out of range, or settings that do not go together.
    """
    for key, (good, remedy) in _RANGES.items():
        if key in settings:
            require(good(settings[key]), f"models: {name}: {key}", settings[key], remedy)
    if settings.get("batch_size") == "auto" and settings["accumulate"] == 1:
        raise ValueError(
            f"models: {name}: batch_size is 'auto' and accumulate 1: set accumulate to the clips per optimizer step, "
            "such as 32; auto finds how many of them fit into memory at once"
        )
    if settings.get("unfreeze_at") and not settings["freeze"]:
        raise ValueError(
            f"models: {name}: unfreeze_at is {settings['unfreeze_at']} but freeze is false: set freeze: true"
        )
