"""Set up how a network computes: precision, memory layout, compilation; recognise that memory ran out."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from clipfold.checks import require
from clipfold.models.network import ClipNetwork

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


GRAPHED = ("reduce-overhead", "max-autotune")
"""Modes of compilation that use CUDA graphs."""


class Precision:
    """Mixed precision (Micikevicius et al. 2018): autocasting, and the loss scaling that fp16 needs.

    Args:
        wanted: `fp32`, `bf16` or `fp16`; falls back with a warning if the device does not support it. `auto`: bf16 on a
            GPU that has it, else fp32.
        device: Device of the network.

    Attributes:
        name: The precision in use.
        scaler: Scales losses and gradients; does nothing except with fp16.

    Raises:
        ValueError: `wanted` is none of these.
    """

    def __init__(self, wanted: str, device: torch.device) -> None:
        require(wanted in ("auto", "fp32", "bf16", "fp16"), "precision", wanted, "use auto, fp32, bf16 or fp16")
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        if wanted == "auto":
            wanted = "bf16" if has_bf16 else "fp32"
        if wanted == "fp16" and device.type == "cpu":
            logger.warning("precision fp16 needs a GPU: using fp32")
            wanted = "fp32"
        if wanted == "bf16" and device.type == "cuda" and not has_bf16:
            logger.warning("this GPU does not support precision bf16: using fp16")
            wanted = "fp16"
        self.name = wanted
        self._device = device.type
        self.scaler = torch.amp.GradScaler(device.type, enabled=wanted == "fp16")

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context for forward passes."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self._device, torch.bfloat16 if self.name == "bf16" else torch.float16)


def place(network: ClipNetwork, settings: Mapping[str, Any], device: torch.device) -> None:
    """Move a network to its device and apply the settings for layout, checkpointing and compilation, in place."""
    # Clips are stored with channels last; with weights in another layout, each convolution would reorder them.
    network.channels_last = settings["channels_last"]
    layouts = {5: torch.channels_last_3d if settings["channels_last"] else torch.contiguous_format}
    if settings["channels_last"] and device.type == "cuda":  # 2-D convolutions; a CPU takes either
        layouts[4] = torch.channels_last
    for parameter in network.parameters():
        layout = layouts.get(parameter.ndim, torch.preserve_format)
        parameter.data = parameter.data.to(device, memory_format=layout)
    network.to(device)
    if device.type == "cuda" and settings["compile"] == "none":
        _count_on_host(network)
    if settings["checkpointing"]:
        stages = list(network.stages())
        if not stages:
            logger.warning("checkpointing: this architecture has no stages to recompute, so its activations are kept")
        for stage in stages:
            stage.forward = _recomputed(stage)
    if settings["compile"] != "none":
        torch._dynamo.config.suppress_errors = True  # code that cannot be compiled runs uncompiled, with a warning
        network.compile(mode=settings["compile"])


class Uncompiled:
    """Runs what is shorter than earlier batches, such as the last, without compiling it anew.

    Args:
        mode: `compile` of the settings.
    """

    def __init__(self, mode: str) -> None:
        self._mode, self._longest = mode, 0

    def if_short(self, clips: int) -> AbstractContextManager[Any]:
        """Return what to run a batch of so many clips in."""
        self._longest = max(self._longest, clips)
        if self._mode == "none" or clips == self._longest:
            return nullcontext()
        eager: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
        return eager


def _count_on_host(network: nn.Module) -> None:
    """Keep the counters of batch normalisations on the host: on a GPU, each would be a kernel of its own per step."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.num_batches_tracked is not None:
            module.num_batches_tracked = module.num_batches_tracked.cpu()


def _recomputed(stage: nn.Module) -> Callable[..., Any]:
    """Wrap the forward pass so that its activations are recomputed when needed (Chen et al. 2016)."""
    contexts = partial(_contexts, stage)
    return partial(checkpoint, stage.forward, use_reentrant=False, context_fn=contexts)


def _contexts(stage: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    return nullcontext(), _statistics_kept(stage)


@contextmanager
def _statistics_kept(stage: nn.Module) -> Any:
    """Keep the running statistics of batch normalisations from being updated again while a stage is recomputed."""
    with ExitStack() as restore:
        for module in stage.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for name, nothing in (("momentum", 0.0), ("num_batches_tracked", None)):
                    restore.callback(setattr, module, name, getattr(module, name))
                    setattr(module, name, nothing)
        yield


_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "_ALLOC_FAILED",  # of cuBLAS, and of cuDNN before version 9
    "ALLOCATION_FAILED",  # of cuDNN 9
    # No memory for a handle.
    "CUBLAS_STATUS_NOT_INITIALIZED",
    # PyTorch tries all algorithms of a convolution, and does not tell that their workspaces did not fit.
    "unable to find an engine to execute this computation",
    "No valid execution plans",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on the device or the host.

    The messages are those in the libraries of PyTorch 2.11 and 2.15. Some have other causes, too; smaller batches then
    end with a single clip that does not fit, and an error that repeats the message.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)


def halving(run: Callable[[int], Result], batch: int) -> Result:
    """Run with a batch size that is halved each time memory runs out.

    Args:
        run: Called with the number of clips per batch, until it succeeds.
        batch: Clips per batch to start with.

    Raises:
        torch.OutOfMemoryError: A single clip does not fit; or another error of `is_out_of_memory`.
    """
    while True:
        try:
            return run(batch)
        except (RuntimeError, MemoryError) as error:
            if batch == 1 or not is_out_of_memory(error):
                raise
        batch //= 2
