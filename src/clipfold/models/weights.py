"""Find pretrained weights and load them; a missing layer is an error and never stays random."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from clipfold.checks import require
from clipfold.models.archive import refuse_compressed

logger = logging.getLogger(__name__)


def find_weights(weights: str | None, url: str | None, download: bool) -> Path | None:
    """Find the file of weights named in the settings.

    Args:
        weights: Empty for random weights, `pretrained` for the published file, or the path of a file.
        url: HTTPS address of the published file. Hexadecimal digits between `-` and `.` in its name are the beginning
            of its SHA-256.
        download: Download the published file if PyTorch's cache has none (`TORCH_HOME` moves the cache).

    Returns:
        The file, or None for random weights.

    Raises:
        ValueError: The file does not exist; the message says where to get it and where to put it.
    """
    if not weights:
        return None
    if weights != "pretrained":
        require(Path(weights).is_file(), "weights", weights, "name an existing file, or use 'pretrained' or ''")
        return Path(weights)
    if url is None:
        raise ValueError("weights is 'pretrained': none are published for this variant: use another variant, or ''")
    assert url.startswith("https://")
    path = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
    if not path.is_file():
        remedy = f"{path} does not exist: put {url} there, or set download: true if this machine has internet access"
        require(download, "weights", weights, remedy)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = re.search(r"-([0-9a-f]{8,})\.", path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), digest[1] if digest else None, progress=False)
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"weights is 'pretrained': {url} could not be downloaded ({error}): save it as {path}"
            ) from error
    return path


def load_weights(
    network: nn.Module, path: Path, *, rename: Callable[[str], str] = str, skip: str | tuple[str, ...] = "head."
) -> None:
    """Load the weights of a file into a network.

    The last layer keeps its random weights if the file has none of its shape; all others must be in the file.

    Args:
        network: The network, changed in place.
        path: A safetensors file, or a PyTorch file with tensors only, in a dict or in that dict's `model_state`,
            `state_dict` or `model`.
        rename: Translates a key of the file to the network's.
        skip: Prefix of the network's keys of the last layer.

    Raises:
        ValueError: The file holds anything except tensors, or its tensors are not those of the network.
    """
    own, state = network.state_dict(), {rename(key): value for key, value in read_tensors(path).items()}
    last = [key for key in own if key.startswith(skip)]
    kept = not all(key in state and state[key].shape == own[key].shape for key in last)
    if kept:
        state = {key: value for key, value in state.items() if not key.startswith(skip)} | {k: own[k] for k in last}
    require_fit(network, state, path)
    network.load_state_dict(state)
    logger.info("weights loaded from %s%s", path, ", except the last layer" if kept else "")


def require_fit(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Check that tensors are those of a network: names, shapes, types, and finite values.

    Raises:
        ValueError: They are not; the message names the file, the first tensors and the remedy.
    """
    own = network.state_dict()
    wrong = {
        # Batch normalisation counts batches but does not use the count: many published files lack it.
        "lacks": [key for key in own if key not in state and not key.endswith(".num_batches_tracked")],
        "has unknown": [key for key in state if key not in own],
        "has another shape for": [key for key in own if key in state and state[key].shape != own[key].shape],
        "has another type for": [key for key in own if key in state and not _same_kind(state[key], own[key])],
    }
    if not any(wrong.values()):
        wrong["is not finite in"] = [key for key in state if not state[key].to(own[key].dtype).isfinite().all()]
    for what, keys in wrong.items():
        few = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        require(not keys, "weights", str(path), f"it {what} {few}: use a file of this architecture and variant")


@contextmanager
def without_memory() -> Iterator[None]:
    """Build networks that have names and shapes, but no memory and no values."""
    with torch.device("meta"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Leave out random values: to fill tensors without memory, PyTorch loads its compiler, which takes seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _same_kind(one: Tensor, other: Tensor) -> bool:
    """Tell whether both are dense and real, or both whole numbers: `half` weights become `float`, others do not."""
    kinds = [(each.layout, each.is_floating_point(), each.is_complex()) for each in (one, other)]
    return kinds[0] == kinds[1] and not one.is_quantized


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors by name, see `load_weights`.

    Raises:
        ValueError: The file is corrupt, compressed, or holds anything except tensors.
    """
    remedy = "it is corrupt, or holds more than tensors: download it again, or save a state dict as .safetensors"
    content: Any
    refuse_compressed(path)
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format raises its own errors
        raise ValueError(f"weights is {str(path)!r}: {remedy}") from error
    for name in ("model_state", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    require(isinstance(content, dict), "weights", str(path), remedy)
    require(all(isinstance(value, Tensor) for value in content.values()), "weights", str(path), remedy)
    return dict(content)
