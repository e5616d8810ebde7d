"""Export a fitted network to an ONNX graph: from stored clips to class probabilities."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from clipfold.models.clip_model import rebuild
from clipfold.models.device import Precision
from clipfold.models.inputs import class_probabilities
from clipfold.models.network import ClipNetwork
from clipfold.models.onnx_graph import library, reduced
from clipfold.models.record import Record
from clipfold.storage.files import PathLike

OPSET = 20
"""Version of the operators."""


class NoGraph(ValueError):
    """PyTorch cannot export a network."""


class _Whole(nn.Module):
    """A network with all that is before and after it, in float32."""

    def __init__(self, network: ClipNetwork, views: int) -> None:
        super().__init__()
        self._network, self._views = network, views
        self._precision = Precision("fp32", torch.device("cpu"))

    def forward(self, clips: Tensor, boxes: Tensor) -> Tensor:
        return class_probabilities(self._network, clips, boxes, self._precision, self._views)


def to_onnx(record: Record, path: PathLike, encoders: PathLike, training: int = 0) -> bytes:
    """Export one training of a fitted network.

    Args:
        record: Record of the fit, `fit.json`, of a network that is not on embeddings.
        path: Its weights, a safetensors file.
        encoders: Folder of the weights of frozen encoders, see `clipfold.models.load.load`.
        training: Which of several trainings, see `clipfold.training.seeds`.

    Returns:
        The graph. Inputs: `clips`, uint8 (batch, frames, size, size, 3), and `boxes`, int64 (batch, 4), if the network
        takes them. Output: `probabilities`, float32 (batch, classes). Any batch.

    Raises:
        NoGraph: The network has an operation that cannot be exported.
        MissingLibrary: The extra `export` is not installed.
    """
    library("onnxscript")
    settings = record["settings"]
    whole = _Whole(rebuild(record, Path(path), encoders, training), int(settings.get("views_at_test", 1))).eval()
    size = settings["size"]
    clips = torch.zeros((2, settings["frames"], size, size, 3), dtype=torch.uint8)
    boxes = torch.tensor([[0, 0, size, size]] * 2)
    batch = {0: torch.export.Dim("batch")}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about itself
        whole(clips, boxes)  # the colours that it keeps become constants of the graph
        try:
            program = torch.onnx.export(
                whole,
                (clips, boxes),
                dynamo=True,
                dynamic_shapes=(batch, batch),
                input_names=["clips", "boxes"],
                output_names=["probabilities"],
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:  # the exporter raises many
            first = str(error).strip().partition("\n")[0]
            raise NoGraph(f"PyTorch cannot export it ({first}): keep predicting with the bundle itself") from error
    assert program is not None
    return reduced(program.model_proto)
