"""Pre-trained weights: found in a file, put into a network; what the file lacks is an error, never left random."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from clipfold.checks import require

logger = logging.getLogger(__name__)


def find_weights(weights: str | None, url: str | None, download: bool) -> Path | None:
    """Find the file of weights that the settings ask for.

    Args:
        weights: nothing for random weights, `pretrained` for the published file, or the path of a file.
        url: of the published file, by https; a part of its name between `-` and `.` is the beginning of its SHA-256.
        download: whether to fetch the published file where PyTorch's cache has none (`TORCH_HOME` moves the cache).

    Returns:
        The file; none for random weights.

    Raises:
        ValueError: there is no such file; says where to get it and where to put it.
    """
    if not weights:
        return None
    if weights != "pretrained":
        require(Path(weights).is_file(), "weights", weights, "name a file that is there, or use 'pretrained' or ''")
        return Path(weights)
    if url is None:
        raise ValueError("weights is 'pretrained': none are published for this variant, use another one or ''")
    assert url.startswith("https://")
    path = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
    if not path.is_file():
        remedy = f"{path} is not there: put {url} there, or set download: true where the internet can be reached"
        require(download, "weights", weights, remedy)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = re.search(r"-([0-9a-f]{8,})\.", path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), digest[1] if digest else None, progress=False)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"weights is 'pretrained': {url} was not fetched ({error}): put it to {path}") from error
    return path


def load_weights(
    network: nn.Module, path: Path, *, rename: Callable[[str], str] = str, skip: str | tuple[str, ...] = "head."
) -> None:
    """Fill a network with the weights of a file.

    The last layer keeps its random weights where the file has none of its shape; all else has to be there.

    Args:
        network: changed in place.
        path: a safetensors file, or one of PyTorch with tensors only, in a dict or in that dict's `model_state`,
            `state_dict` or `model`.
        rename: what the network calls a key of the file.
        skip: how the network's keys of the last layer begin.

    Raises:
        ValueError: the file holds anything but tensors, or others than the network's.
    """
    own, state = network.state_dict(), {rename(key): value for key, value in _read(path).items()}
    last = [key for key in own if key.startswith(skip)]
    kept = not all(key in state and state[key].shape == own[key].shape for key in last)
    if kept:
        state = {key: value for key, value in state.items() if not key.startswith(skip)} | {k: own[k] for k in last}
    wrong = {
        # Batch normalisation counts batches, but does not use the count: many published files have none.
        "lacks": [key for key in own if key not in state and not key.endswith(".num_batches_tracked")],
        "has unknown": [key for key in state if key not in own],
        "has in another shape": [key for key in own if key in state and state[key].shape != own[key].shape],
    }
    for what, keys in wrong.items():
        few = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        require(not keys, "weights", str(path), f"it {what} {few}: use a file of this architecture and variant")
    network.load_state_dict(state)
    logger.info("weights are those of %s%s", path, ", but for a new last layer" if kept else "")


def _read(path: Path) -> dict[str, Tensor]:
    remedy = "it is damaged, or holds more than tensors: fetch it anew, or save a state dict as .safetensors"
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own kinds
        raise ValueError(f"weights is {str(path)!r}: {remedy}") from error
    for name in ("model_state", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    require(isinstance(content, dict), "weights", str(path), remedy)
    require(all(isinstance(value, Tensor) for value in content.values()), "weights", str(path), remedy)
    return dict(content)
