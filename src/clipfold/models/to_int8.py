"""Quantise an exported network: 8-bit weights and inputs of its convolutions and matrix products."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from clipfold.models.onnx_graph import library, reduced
from clipfold.storage.files import Array
from clipfold.storage.replace import write_whole

OPERATORS = ("Conv", "MatMul", "Gemm")
"""Operators to quantise: they take nearly all of the time. The rest would change probabilities more than it gains."""


class _Clips:
    """Inputs of a graph, one after the other, as ONNX Runtime's calibration asks for them."""

    def __init__(self, inputs: Sequence[Mapping[str, Array]]) -> None:
        self._rest: Iterator[Mapping[str, Array]] = iter(inputs)

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._rest, None)


def to_int8(graph: bytes, inputs: Sequence[Mapping[str, Array]]) -> bytes:
    """Quantise a graph statically, after Jacob et al. 2018 (arXiv:1712.05877).

    Weights become int8, with a scale per channel; inputs uint8, with the range that they have on the given clips.

    Args:
        graph: What `clipfold.models.to_onnx.to_onnx` returns.
        inputs: Inputs of the graph by name, one clip in each, from the training data or alike.

    Returns:
        A graph with the same inputs and output.

    Raises:
        MissingLibrary: The extra `export` is not installed.
    """
    quantization = library("onnxruntime.quantization")
    with TemporaryDirectory(prefix="clipfold-") as folder:
        source, simple, target = (str(Path(folder, f"{name}.onnx")) for name in ("float", "simple", "int8"))
        write_whole(source, graph)
        library("onnxruntime.quantization.preprocess").quant_pre_process(source, simple, skip_symbolic_shape=True)
        quantization.quantize_static(
            simple,
            target,
            _Clips(inputs),
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return reduced(library("onnx").load(target))
