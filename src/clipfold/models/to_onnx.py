"""Export a fitted network to an ONNX graph: from stored clips to class probabilities."""

import torch

from clipfold.models.onnx_graph import library, reduced
from clipfold.models.record import Record
from clipfold.models.whole_network import NoGraph, exporting
from clipfold.storage.files import PathLike

OPSET = 20
"""Version of the operators."""


def to_onnx(record: Record, path: PathLike, encoders: PathLike, training: int = 0) -> bytes:
    """Export one training of a fitted network.

    Args:
        record: As for `whole_network.exporting`; `path`, `encoders` and `training` likewise.
        path: See there.
        encoders: See there.
        training: See there.

    Returns:
        The graph. Inputs: `clips` and `boxes` of `WholeNetwork.module`, the latter if the network takes them. Output:
        `probabilities`. Any batch.

    Raises:
        NoGraph: The network has an operation that cannot be exported.
        MissingLibrary: The extra `export` is not installed.
    """
    library("onnxscript")
    with exporting(record, path, encoders, training) as whole:
        program = torch.onnx.export(
            whole.module,
            whole.example,
            dynamo=True,
            dynamic_shapes=whole.dynamic_shapes,
            input_names=["clips", "boxes"],
            output_names=["probabilities"],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    if not all(each.type.tensor_type.shape.dim[0].dim_param for each in program.model_proto.graph.input):
        raise NoGraph("PyTorch fixes the number of clips of a batch: keep predicting with the bundle itself")
    return reduced(program.model_proto)
