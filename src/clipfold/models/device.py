"""How a network computes: where, how exactly, in which memory layout, compiled or not."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.utils.deterministic
from torch import nn
from torch.utils.checkpoint import checkpoint

from clipfold.models.network import ClipNetwork

logger = logging.getLogger(__name__)


def choose_device(settings: Mapping[str, Any], threads: int, local_rank: int = 0) -> torch.device:
    """Take the graphics processor if there is one, and set what holds for the whole process."""
    torch.set_num_threads(threads)
    # Algorithms that have no deterministic variant are named in a warning rather than refused.
    torch.use_deterministic_algorithms(settings["deterministic"], warn_only=True)
    # Filling fresh memory is a help in finding faults, and takes time in every operation.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.benchmark = not settings["deterministic"]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = settings["tf32"]
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


class Precision:
    """Mixed precision (Micikevicius et al. 2018): where operations run in fewer bits, and the scaling that fp16 needs.

    Args:
        wanted: `fp32`, `bf16` or `fp16`; what the device does not do well falls back with a warning.
        device: where the network is.
    """

    def __init__(self, wanted: str, device: torch.device) -> None:
        if wanted == "fp16" and device.type == "cpu":
            logger.warning("precision fp16 needs a graphics processor: training in fp32")
            wanted = "fp32"
        if wanted == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
            logger.warning("precision bf16 is not of this graphics processor: training in fp16")
            wanted = "fp16"
        self.name = wanted
        self._device = device.type
        self.scaler = torch.amp.GradScaler(device.type, enabled=wanted == "fp16")

    def autocast(self) -> AbstractContextManager[Any]:
        """Context of forward passes."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self._device, torch.bfloat16 if self.name == "bf16" else torch.float16)


def place(network: ClipNetwork, settings: Mapping[str, Any], device: torch.device) -> None:
    """Move a network to its device and make it compute as the settings say; names of its weights stay."""
    # Clips are stored with channels last; weights in another layout would have each convolution reorder them.
    layout = torch.channels_last_3d if settings["channels_last"] else torch.contiguous_format
    for parameter in network.parameters():
        parameter.data = parameter.data.to(
            device, memory_format=layout if parameter.ndim == 5 else torch.preserve_format
        )
    network.to(device)
    if settings["checkpointing"]:
        stages = list(network.stages())
        if not stages:
            logger.warning("checkpointing: this architecture has no stages to compute again, its activations are kept")
        for stage in stages:
            stage.forward = _recomputed(stage)
    if settings["compile"] != "none":
        torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is, with a warning
        network.compile(mode=settings["compile"])


def _recomputed(stage: nn.Module) -> Callable[..., Any]:
    """Forward pass whose activations are computed again when they are needed (Chen et al. 2016)."""
    contexts = partial(_contexts, stage)
    return partial(checkpoint, stage.forward, use_reentrant=False, context_fn=contexts)


def _contexts(stage: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    return nullcontext(), _statistics_kept(stage)


@contextmanager
def _statistics_kept(stage: nn.Module) -> Any:
    """Computing a stage again must not move the running statistics of its batch normalisations a second time."""
    with ExitStack() as restore:
        for module in stage.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for name, nothing in (("momentum", 0.0), ("num_batches_tracked", None)):
                    restore.callback(setattr, module, name, getattr(module, name))
                    setattr(module, name, nothing)
        yield


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the device or the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    signs = ("can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
