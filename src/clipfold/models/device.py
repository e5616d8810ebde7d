"""Set up how a network computes: device, precision, memory layout, compilation."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
import torch.utils.deterministic
from torch import nn
from torch.utils.checkpoint import checkpoint

from clipfold.checks import require
from clipfold.models.network import ClipNetwork

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def choose_device(settings: Mapping[str, Any], threads: int, local_rank: int = 0) -> torch.device:
    """Choose the GPU if there is one, and configure threads, determinism and TF32 for the whole process."""
    torch.set_num_threads(threads)
    # Algorithms without a deterministic variant cause a warning, not an error.
    torch.use_deterministic_algorithms(settings["deterministic"], warn_only=True)
    # Filling fresh memory helps debugging only, and slows down every operation.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.benchmark = not settings["deterministic"]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = settings["tf32"]
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


class Precision:
    """Mixed precision (Micikevicius et al. 2018): autocasting, and the loss scaling that fp16 needs.

    Args:
        wanted: `fp32`, `bf16` or `fp16`; falls back with a warning if the device does not support it.
        device: Device of the network.

    Attributes:
        name: The precision in use.
        scaler: Scales losses and gradients; does nothing except with fp16.

    Raises:
        ValueError: `wanted` is none of these.
    """

    def __init__(self, wanted: str, device: torch.device) -> None:
        require(wanted in ("fp32", "bf16", "fp16"), "precision", wanted, "use fp32, bf16 or fp16")
        if wanted == "fp16" and device.type == "cpu":
            logger.warning("precision fp16 needs a GPU: using fp32")
            wanted = "fp32"
        if wanted == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
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
    layout = torch.channels_last_3d if settings["channels_last"] else torch.contiguous_format
    for parameter in network.parameters():
        parameter.data = parameter.data.to(
            device, memory_format=layout if parameter.ndim == 5 else torch.preserve_format
        )
    network.to(device)
    if settings["checkpointing"]:
        stages = list(network.stages())
        if not stages:
            logger.warning("checkpointing: this architecture has no stages to recompute, so its activations are kept")
        for stage in stages:
            stage.forward = _recomputed(stage)
    if settings["compile"] != "none":
        torch._dynamo.config.suppress_errors = True  # code that cannot be compiled runs uncompiled, with a warning
        network.compile(mode=settings["compile"])


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


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on the device or the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    signs = ("can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


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
