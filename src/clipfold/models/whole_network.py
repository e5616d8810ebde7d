"""A fitted network with all that is before and after it: from stored clips to class probabilities, to be exported."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clipfold.models.clip_model import rebuild
from clipfold.models.device import Precision
from clipfold.models.inputs import class_probabilities
from clipfold.models.network import ClipNetwork
from clipfold.models.record import Record
from clipfold.storage.files import PathLike


class NoGraph(ValueError):
    """PyTorch cannot export a network."""


class WholeNetwork(NamedTuple):
    """A network that is ready to be exported.

    Args:
        module: Takes `clips`, uint8 (batch, frames, size, size, 3), and `boxes`, int64 (batch, 4); returns
            `probabilities`, float32 (batch, classes).
        example: Clips and boxes.
        dynamic_shapes: Says that a batch may have any size, as `torch.export.export` takes it.
    """

    module: nn.Module
    example: tuple[Tensor, Tensor]
    dynamic_shapes: tuple[Mapping[int, Any], Mapping[int, Any]]


class _Whole(nn.Module):
    """A network with all that is before and after it, in float32."""

    def __init__(self, network: ClipNetwork, views: int) -> None:
        super().__init__()
        self._network, self._views = network, views
        self._precision = Precision("fp32", torch.device("cpu"))

    def forward(self, clips: Tensor, boxes: Tensor) -> Tensor:
        return class_probabilities(self._network, clips, boxes, self._precision, self._views)


@contextmanager
def exporting(record: Record, path: PathLike, encoders: PathLike, training: int = 0) -> Iterator[WholeNetwork]:
    """Rebuild one training of a fitted network, whole, to export it in the block.

    Args:
        record: Record of the fit, `fit.json`, of a network that is not on embeddings.
        path: Its weights, a safetensors file.
        encoders: Folder of the weights of frozen encoders, see `clipfold.models.load.load`.
        training: Which of several trainings, see `clipfold.training.seeds`.

    Raises:
        NoGraph: The network has an operation that cannot be exported.
    """
    settings = record["settings"]
    module = _Whole(rebuild(record, Path(path), encoders, training), int(settings.get("views_at_test", 1))).eval()
    size = settings["size"]
    clips = torch.zeros((2, settings["frames"], size, size, 3), dtype=torch.uint8)
    boxes = torch.tensor([[0, 0, size, size]] * 2)
    batch = {0: torch.export.Dim("batch")}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about itself
        module(clips, boxes)  # the colours that it keeps become constants
        try:
            yield WholeNetwork(module, (clips, boxes), (batch, batch))
        except Exception as error:  # the exporter raises many
            first = str(error).strip().partition("\n")[0]
            raise NoGraph(f"PyTorch cannot export it ({first}): keep predicting with the bundle itself") from error
