"""The operations of augmentation and the presets of them. Standard library only: every Snakemake start imports this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clipfold.checks import require, suggest

Arguments = Mapping[str, float]
Operations = dict[str, dict[str, float]]
"""Name of an operation -> its arguments, in the order in which operations are applied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """A number that limits what an operation draws: its default, and what is accepted."""

    default: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """A random change of a clip, the same for all of its frames.

    Args:
        probability: Default probability of its use in an augmented copy.
        arguments: What limits its strength.
    """

    probability: float
    arguments: Mapping[str, Argument] = field(default_factory=dict)

    @property
    def declared(self) -> dict[str, Argument]:
        """All arguments, with the probability that every operation has."""
        return {"probability": Argument(default=self.probability, low=0, high=1), **self.arguments}


def _share(default: float, low: float = 0.01, high: float = 1.0) -> Argument:
    return Argument(default=default, low=low, high=high)


OPERATIONS: Mapping[str, Operation] = {
    # Frames: which, and in which order.
    "drop": Operation(probability=0.2, arguments={"share": _share(0.2)}),
    "repeat": Operation(probability=0.2, arguments={"share": _share(0.2)}),
    "speed": Operation(probability=0.3, arguments={"factor": Argument(default=1.5, low=1, high=8)}),
    "jitter": Operation(probability=0.2, arguments={"steps": Argument(default=1, low=1, high=8)}),
    "reverse": Operation(probability=0.5),
    # Places: where in the picture.
    "crop": Operation(probability=1.0, arguments={"share": _share(0.8, low=0.05)}),
    "flip": Operation(probability=0.5),
    "rotate": Operation(probability=0.3, arguments={"degrees": Argument(default=10, low=0, high=180)}),
    "affine": Operation(
        probability=0.2,
        arguments={"shear": Argument(default=8, low=0, high=60), "shift": _share(0.1, low=0, high=0.5)},
    ),
    "elastic": Operation(probability=0.1, arguments={"strength": _share(0.04, low=0, high=0.25)}),
    # Pixels: what they show.
    "colour": Operation(
        probability=1.0,
        arguments={"brightness": _share(0.1, low=0), "contrast": _share(0.2, low=0), "saturation": _share(0.2, low=0)},
    ),
    "downscale": Operation(probability=0.2, arguments={"share": _share(0.5, low=0.05)}),
    "blur": Operation(probability=0.2, arguments={"sigma": Argument(default=1, low=0.1, high=20)}),
    "noise": Operation(probability=0.2, arguments={"sigma": _share(0.04)}),
    "jpeg": Operation(probability=0.2, arguments={"quality": Argument(default=40, low=1, high=100)}),
    "h264": Operation(probability=0.2, arguments={"crf": Argument(default=36, low=1, high=51)}),
    "cutout": Operation(probability=0.2, arguments={"share": _share(0.4)}),
}
"""Every operation, in the order in which they are applied."""

PRESETS: Mapping[str, Mapping[str, Arguments]] = {
    "none": {},
    "light": {"crop": {}, "flip": {}, "colour": {}},
    # Nothing that destroys the traces of a forgery: every pixel keeps its value, its neighbours and its frame.
    "forensic": {"reverse": {}, "flip": {}},
    "video": {name: {} for name in OPERATIONS}
    | {
        "reverse": {"probability": 0.2},
        "crop": {"share": 0.7},
        "colour": {"brightness": 0.2, "contrast": 0.3, "saturation": 0.3},
    },
}
"""Name -> operations with the arguments that differ from their defaults."""


def resolve(preset: str, without: Sequence[str], changes: Mapping[str, Arguments]) -> Operations:
    """Complete the operations that the config asks for.

    Args:
        preset: One of `PRESETS`.
        without: Operations to leave out, whether the preset has them or not.
        changes: Operations to add, or whose arguments to change.

    Raises:
        ValueError: A name is unknown, a value is out of range, or an operation is both changed and left out.
    """
    require(preset in PRESETS, "augment.preset", preset, suggest(preset, PRESETS))
    for name in without:
        known = isinstance(name, str) and name in OPERATIONS  # a list is no key
        require(known, "augment.without", name, suggest(name, OPERATIONS))
    for name, given in changes.items():
        where = f"augment.operations.{name}"
        require(name in OPERATIONS, "augment.operations", name, suggest(name, OPERATIONS))
        require(name not in without, where, given, "augment.without leaves it out: name it in one of the two")
        require(isinstance(given, Mapping), where, given, f"use a mapping such as {_example(name)}")
        declared = OPERATIONS[name].declared
        for argument, value in given.items():
            require(argument in declared, where, argument, suggest(argument, declared))
            limits = declared[argument]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            good = number and limits.low <= value <= limits.high
            require(good, f"{where}.{argument}", value, f"use {limits.low:g} to {limits.high:g}")
    wanted = {name for name in (*PRESETS[preset], *changes) if name not in without}
    return {
        name: {argument: limits.default for argument, limits in operation.declared.items()}
        | dict(PRESETS[preset].get(name, {}))
        | dict(changes.get(name, {}))
        for name, operation in OPERATIONS.items()
        if name in wanted
    }


def _example(name: str) -> str:
    example = {argument: limits.default for argument, limits in OPERATIONS[name].declared.items()}
    return str(example).replace("'", "")
