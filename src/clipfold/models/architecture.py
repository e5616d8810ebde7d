"""The description of an architecture in the catalog. Standard library only: every start reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from clipfold.models.declare import Setting
from clipfold.models.settings import ON_CLIPS, SCALED

Input = Literal["features", "clips", "predictions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """The resources of one job of a model.

    Args:
        memory_mb: Host memory in MB.
        gpus: GPUs; what a job does that finds none, the model's setting `device` says.
        threads: CPU cores.
        runtime: Minutes.
        fits_per_gpu: Jobs that may use a GPU at the same time, without a cluster.
    """

    memory_mb: int
    gpus: int
    threads: int
    runtime: int
    fits_per_gpu: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """An architecture: the code behind models.

    Args:
        name: The name in the config.
        module: Module with its code, loaded by name so that its fingerprint excludes the other architectures. The first
            line of its docstring describes the architecture in the reference.
        input: What it learns from: `features` (a row per video), `clips` (sampled frames) or `predictions` (of others).
        declared: Every setting it takes.
        needs: Resources of one job by default.
        gmac: Cost of a forward pass of one clip at the default frames and size, for the forecast of a first run: its
            multiply-adds in 1e9, or more where measured steps take longer than 30e9 per second and core; by encoder or
            variant where there are several.
        moving: Whether it is made to see motion, and has no use for images.
    """

    name: str
    module: str
    input: Input
    declared: Mapping[str, Setting]
    needs: Resources
    gmac: float | Mapping[str, float] = 0.0
    moving: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """The default of every setting."""
        return {name: setting.default for name, setting in self.declared.items()}


def on_features(name: str, shared: Mapping[str, Setting] = SCALED, runtime: int = 60, **own: Setting) -> Architecture:
    """An architecture on features; its settings are the shared ones and its own."""
    needs = Resources(memory_mb=2000, gpus=0, threads=1, runtime=runtime)
    module = f"clipfold.models.architectures.{name}"
    return Architecture(name=name, module=module, input="features", declared={**shared, **own}, needs=needs)


def on_clips(
    name: str,
    shared: Mapping[str, Setting] = ON_CLIPS,
    memory_mb: int = 8000,
    runtime: int = 480,
    gmac: float | Mapping[str, float] = 10.0,
    moving: bool = False,
    **own: Any,
) -> Architecture:
    """An architecture on clips.

    Args:
        name: Its name, also that of its module.
        shared: Settings that it shares with others.
        memory_mb: See `Resources`.
        runtime: See `Resources`.
        gmac: See `Architecture`.
        moving: See `Architecture`.
        own: Settings of its own, or its default for a shared one.
    """
    settings = {
        key: value if isinstance(value, Setting) else replace(shared[key], default=value) for key, value in own.items()
    }
    needs = Resources(memory_mb=memory_mb, gpus=1, threads=2, runtime=runtime)
    module = f"clipfold.models.architectures.{name}"
    declared = {**shared, **settings}
    return Architecture(
        name=name, module=module, input="clips", declared=declared, needs=needs, gmac=gmac, moving=moving
    )
