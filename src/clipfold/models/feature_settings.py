"""What values the settings of models on features may have. Standard library only: every start reads it."""

from collections.abc import Callable, Mapping
from typing import Any

from clipfold.checks import require

GROUPS = ("brightness", "container", "frame", "motion", "noise")
"""Of columns in the table of features; `clipfold.features.extract` makes them."""

_KERNELS = ("linear", "poly", "rbf", "sigmoid")


def _from(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda v: v >= least, f"use {least} or more"


_VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "features": (lambda v: bool(v) and all(group in GROUPS for group in v), f"use one or more of {', '.join(GROUPS)}"),
    "class_weight": (lambda v: v in ("balanced", None), "use balanced, or null for none"),
    "C": (lambda v: v > 0, "use a positive number"),
    "kernel": (lambda v: v in _KERNELS, f"use one of {', '.join(_KERNELS)}"),
    "gamma": (
        lambda v: v in ("scale", "auto") or (isinstance(v, int | float) and v > 0),
        "use scale, auto or a positive number",
    ),
    "learning_rate": (lambda v: v > 0, "use a positive number"),
    "max_iter": _from(1),
    "max_leaf_nodes": _from(2),
    "min_samples_leaf": _from(1),
    "l2_regularization": _from(0),
    "hidden": (
        lambda v: bool(v) and all(isinstance(width, int) and width >= 1 for width in v),
        "list the width of each layer, such as [64, 32]",
    ),
    "alpha": _from(0),
}


def check_values(name: str, settings: Mapping[str, Any]) -> None:
    """Check the settings of a model on features.

    Args:
        name: of the model, for messages.
        settings: of it.

    Raises:
        ValueError: a value that its architecture could not work with.
    """
    for key, value in settings.items():
        good, remedy = _VALUES[key]
        require(good(value), f"models: {name}: {key}", value, remedy)
