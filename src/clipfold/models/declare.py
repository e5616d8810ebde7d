"""The declaration of one setting of a model. Standard library only: every start reads it."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from clipfold.checks import require


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a model: the only place that says anything about it.

    Validation, the reference in `config/README.md` and the memory estimate read this declaration.

    Args:
        default: The default, or a grid of values to choose from. A value must have its type; whole numbers are accepted
            where the default has decimals. The limits and choices of a list hold for each of its entries.
        doc: One line for the reference.
        low: Smallest accepted number.
        high: Largest accepted number.
        above: Exclusive lower limit.
        below: Exclusive upper limit.
        choices: Accepted texts; any text if empty.
        also: Further accepted values, of any type.
        kind: Type of a value where the default has another, as a grid has.
        memory: Whether the setting shapes the memory of a fit. Only records of fits with equal values then count.
        values: Description of the accepted values, for messages ("use ...") and the reference; by default made from the
            limits and choices.
    """

    default: Any
    doc: str
    _: KW_ONLY
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    also: tuple[Any, ...] = ()
    kind: type | None = None
    memory: bool = False
    values: str = ""

    def check(self, name: str, value: object) -> None:
        """Check a value, or each of a grid.

        Raises:
            ValueError: The value has the wrong type, is out of range or is not one of the choices.
        """
        if isinstance(value, Mapping):
            for each in grid_values(name, value):
                self.check(name, each)
            return
        if value in self.also:
            return
        kind, default = self.kind or type(self.default), self.example
        if kind is float and not self.also:
            number = f"use a number such as {default!r} (YAML reads 1e-3 as text: write 1.0e-3)"
            require(_has_type(value, float), name, value, number)
        elif not self.also:
            require(_has_type(value, kind), name, value, f"use a value such as {default!r}")
        require(_has_type(value, kind) and self._accepts(value), name, value, f"use {self.accepted}")

    @property
    def example(self) -> Any:
        """A value: the default, or the first one of a grid."""
        return self.default["grid"][0] if isinstance(self.default, dict) else self.default

    def _accepts(self, value: Any) -> bool:
        if not isinstance(value, list):
            return self._in_range(value) and (not self.choices or value in self.choices)
        # A list may be empty only if that is the default.
        entries = type(self.default[0]) if self.default else str
        return (bool(value) or not self.default) and all(_has_type(v, entries) and self._accepts(v) for v in value)

    def _in_range(self, value: Any) -> bool:
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def accepted(self) -> str:
        """The accepted values in words.

        >>> Setting(0.2, "", low=0, below=1).accepted, Setting("m", "", choices=("s", "m")).accepted
        ('0 up to, not including, 1', 'one of s, m')
        """
        if self.values:
            return self.values
        if self.choices:
            return f"one{' or more' if isinstance(self.default, list) else ''} of {', '.join(self.choices)}"
        if isinstance(self.default, bool):
            return "true or false"
        if self.above == 0 and self.high is None:
            return "a positive number"
        if self.low is not None:
            upper = f"to {self.high}" if self.high is not None else f"up to, not including, {self.below}"
            return f"{self.low} or more" if self.high is None and self.below is None else f"{self.low} {upper}"
        return "text"


def grid_values(name: str, grid: Mapping[Any, Any]) -> list[Any]:
    """Return the values of a grid, `{grid: [0.1, 1]}`: one is chosen in each fold, without its test videos.

    Raises:
        ValueError: It is something else, has fewer than two values, or one twice.
    """
    values: Any = grid.get("grid")
    several = isinstance(values, list) and len(values) > 1 and len({repr(each) for each in values}) == len(values)
    good = several and len(grid) == 1 and not any(isinstance(each, Mapping) for each in values)
    require(good, name, dict(grid), "use a value, or a grid of two or more different ones, such as {grid: [0.1, 1.0]}")
    return list(values)


def _has_type(value: object, kind: type) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)
