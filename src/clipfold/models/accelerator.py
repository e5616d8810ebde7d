"""Choose the device that networks compute on, and say why it is not a GPU."""

import ctypes
import logging
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.utils.deterministic

from clipfold.resources.gpus import VISIBLE, visible_gpus

logger = logging.getLogger(__name__)

_NOT_DETERMINISTIC = " does not have a deterministic implementation"


def choose_device(settings: Mapping[str, Any], threads: int, local_rank: int = 0) -> torch.device:
    """Choose the device, and configure threads, determinism and TF32 for the whole process.

    Args:
        settings: `device` (`auto`: the GPU if it can be used, else the CPU with a warning), `deterministic`, `tf32`.
        threads: CPU threads to use.
        local_rank: Number of the GPU.

    Raises:
        ValueError: `device` is `cuda`, and no GPU can be used.
    """
    torch.set_num_threads(threads)
    # Algorithms without a deterministic variant cause a warning, not an error; see `forbid_randomness`.
    torch.use_deterministic_algorithms(settings["deterministic"], warn_only=True)
    # Filling fresh memory helps debugging only, and slows down every operation.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    why = why_no_gpu()
    if settings["device"] == "cuda" and why:
        raise ValueError(f"device is 'cuda', but {why}; or use device: auto, which then takes the CPU")
    if settings["device"] == "cpu" or why:
        if settings["device"] != "cpu":
            logger.warning("computing on the CPU: %s", why)
        return torch.device("cpu")
    if settings["deterministic"]:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first matrices are multiplied
    torch.backends.cudnn.benchmark = not settings["deterministic"]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = settings["tf32"]
    torch.cuda.set_device(local_rank)
    logger.info("computing on GPU %d, %s", local_rank, torch.cuda.get_device_name(local_rank))
    return torch.device("cuda", local_rank)


def usable_device() -> torch.device:
    """Return the GPU if it can be used, else the CPU, for predictions: a model may have been trained elsewhere."""
    return torch.device("cpu" if why_no_gpu() else "cuda")


def forbid_randomness(device: torch.device) -> None:
    """Let an operation on a GPU without a deterministic variant raise an error.

    With warnings alone, PyTorch computes the gradients of attention in its faster way, which is not deterministic,
    although another exists.
    """
    if device.type == "cuda" and torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(True)


def is_nondeterministic(error: BaseException) -> bool:
    """Tell whether an error means that an operation has no deterministic variant."""
    return isinstance(error, RuntimeError) and _NOT_DETERMINISTIC in str(error)


def allow_randomness(error: BaseException) -> str:
    """Go on with warnings if an error means that an operation has no deterministic variant.

    Returns:
        The name of the operation; empty if it was another error.
    """
    strict = torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
    if not (strict and is_nondeterministic(error)):
        return ""
    name = str(error).partition(_NOT_DETERMINISTIC)[0]
    torch.use_deterministic_algorithms(True, warn_only=True)
    logger.warning("%s has no deterministic variant on this GPU: fits will differ in the last digits", name)
    return name


def why_no_gpu() -> str:
    """Tell why PyTorch can use no GPU here, with a remedy; empty if it can."""
    if torch.cuda.is_available():
        capability, built = torch.cuda.get_device_capability(), torch.cuda.get_arch_list()
        if runs_on(capability, built):
            return ""
        return (
            f"PyTorch {torch.__version__} has no code for {torch.cuda.get_device_name()} (its architecture is "
            f"sm_{capability[0]}{capability[1]}, and PyTorch's {', '.join(built)}): install a build of PyTorch for an "
            "older CUDA"
        )
    if not visible_gpus():
        hidden = os.environ.get(VISIBLE)
        if hidden is not None:
            return f"{VISIBLE} is {hidden!r}, which hides all GPUs (as it is in jobs with gpus: 0)"
        return (
            "no NVIDIA GPU is visible here (in a container, let it see them: --nv of apptainer, --gpus all of docker)"
        )
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built without CUDA: install a build with it"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "the GPU's driver library libcuda.so.1 is missing (in a container: start it with --nv of apptainer)"
    return (
        f"PyTorch {torch.__version__} needs a driver for CUDA {torch.version.cuda}, and this GPU's is older or failed: "
        "update the driver, or install a build of PyTorch for an older CUDA; nvidia-smi shows what the driver supports"
    )


def runs_on(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Tell whether code that was built for some architectures runs on a GPU, by NVIDIA's rules of compatibility.

    Args:
        capability: The GPU's compute capability, major and minor.
        built: As from `torch.cuda.get_arch_list`: `sm_80` is machine code, for the same major version and at least
            that minor one; `compute_80` can be compiled for all later ones; a letter at the end: that version alone.

    >>> runs_on((7, 0), ["sm_75", "sm_80"]), runs_on((8, 6), ["sm_75", "sm_80"]), runs_on((12, 1), ["compute_90"])
    (False, True, True)
    """
    for name in built:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", name)
        if match is None:
            continue
        kind, version, special = match[1], (int(match[2]), int(match[3])), match[4]
        same_major = capability[0] == version[0]
        if capability == version or (not special and capability > version and (kind == "compute" or same_major)):
            return True
    return False
