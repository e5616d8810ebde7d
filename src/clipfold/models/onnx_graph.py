"""Read and write ONNX graphs, which may come from a stranger and are run by ONNX Runtime within this process.

ONNX Runtime trusts a graph: it ends the process on some, and opens the files that a graph names. So a graph is parsed
here, reduced to what computes, and refused unless it is as simple as those of clipfold's own networks.
"""

import importlib
import os
from collections.abc import Container, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

from clipfold.checks import MissingLibrary, require
from clipfold.storage.files import PathLike
from clipfold.video.region import MODEL_BYTES

GRAPH_BYTES = 2**31 - 1
"""Most bytes of a graph: the limit of its format."""

STRUCTURE_BYTES = 1 << 22
"""Most of them that are not values of constants, ten times what networks have: parsed, they take fifty times that."""

DIMENSIONS = 8
"""Most dimensions of a constant."""

_NAMES = (
    "Abs Add And AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv Cos DequantizeLinear "
    "Div Einsum Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool "
    "Greater GreaterOrEqual HardSigmoid HardSwish Identity LSTM LayerNormalization LeakyRelu Less LessOrEqual Log "
    "MatMul Max MaxPool Min Mod Mul Neg Not Or Pad Pow QuantizeLinear Range Reciprocal ReduceMax ReduceMean ReduceMin "
    "ReduceSum Relu Reshape ScatterND Shape Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze "
    "Where"
)

OPERATORS = frozenset(_NAMES.split(" "))
"""Operators of ONNX that clipfold's networks need. All compute from their inputs alone; none repeats or branches."""

_OURS = ("", "ai.onnx")
"""Domains of these operators."""

_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 16: 2}
"""Type of a constant -> bytes of a value: float, uint8, int8, int32, int64, bool, float16, double, bfloat16."""

_ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}
"""Type of an attribute -> its only field: a number, a text, a constant or a list. No graph, no sparse tensor."""

_VALUES = (7, 5, 9)
"""Fields that lead to the values of constants: of the model the graph, of that the constants, of these the raw data."""

_AGAIN = "get the bundle again, or export it again"


def library(name: str) -> Any:
    """Import a library of the extra `export`.

    Raises:
        MissingLibrary: It is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reports what it runs to its maker, from 1.29 on
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise MissingLibrary(f"{name} is missing: pip install 'clipfold[export]'") from None


def graph_file(folder: PathLike, training: int) -> Path:
    """Name the graph of a training of a network."""
    return Path(folder, f"model-{training}.onnx")


def read_graph(path: Path) -> bytes:
    """Read a graph: whole in its file, of known operators, without control flow.

    Returns:
        The graph that was checked, and nothing besides.

    Raises:
        ValueError: It is no graph, or not such a one.
        MissingLibrary: The extra `export` is not installed.
    """
    return _read(path, OPERATORS, 1)


def read_detector(path: Path) -> bytes:
    """Read the graph of a detector of faces as `read_graph` does; it has more outputs, and enlarges within.

    Raises:
        ValueError: It is no graph, or does more than YuNet.
        MissingLibrary: The extra `export` is not installed.
    """
    require(path.stat().st_size <= MODEL_BYTES, path.name, f"over {MODEL_BYTES} bytes", _AGAIN)
    return _read(path, OPERATORS | {"Resize", "Upsample"}, 12)


def _read(path: Path, operators: Container[str], outputs: int) -> bytes:
    require(path.stat().st_size <= GRAPH_BYTES, path.name, f"over {GRAPH_BYTES} bytes", _AGAIN)
    model, content = library("onnx").ModelProto(), path.read_bytes()
    try:
        _count_values(content, 0, len(content), _VALUES)
        model.ParseFromString(content)
    except Exception as error:  # of protobuf, whose versions raise different ones
        raise ValueError(f"{path.name} is no ONNX graph ({error}): {_AGAIN}") from None
    for problem in _problems(model, operators, outputs):
        raise ValueError(f"{path.name} has {problem}: no exported network has any: {_AGAIN}")
    content = reduced(model)
    try:
        library("onnx.checker").check_model(content)
    except Exception as error:  # of the checker, in C++
        first = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path.name} is no usable ONNX graph ({first}): {_AGAIN}") from None
    return content


def reduced(model: Any) -> bytes:
    """Serialise what a graph computes, without names of files, of code and of modules.

    PyTorch notes for each operator where in the code of this machine it comes from.

    Args:
        model: An `onnx.ModelProto`; it is changed.
    """
    onnx = library("onnx")
    graph = model.graph
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        for name in ("doc_string", "metadata_props"):
            part.ClearField(name)
    kept = onnx.GraphProto(name="network")
    for name in ("node", "initializer", "input", "output"):
        getattr(kept, name).extend(getattr(graph, name))
    versions = [each for each in model.opset_import if each.domain in _OURS]
    whole = onnx.ModelProto(ir_version=model.ir_version, opset_import=versions, graph=kept)
    content: bytes = whole.SerializeToString(deterministic=True)
    return content


def _problems(model: Any, operators: Container[str], outputs: int) -> Iterator[str]:
    """Name what no graph of clipfold's has."""
    graph = model.graph
    if model.functions or any(node.domain not in _OURS for node in graph.node):
        yield "operators of other domains"
    if unknown := {node.op_type for node in graph.node if node.op_type not in operators}:
        yield f"the operator {min(unknown)[:40]!r}"
    attributes = [each for node in graph.node for each in node.attribute]
    if not all(map(_plain, attributes)):
        yield "graphs or other data within operators"
    if graph.sparse_initializer:
        yield "sparse tensors"
    if len(graph.output) != outputs:
        yield f"{len(graph.output)} outputs"
    named = [each.name for each in (*graph.input, *graph.initializer)]
    named += [name for node in graph.node for name in node.output if name]
    if len({*named}) < len(named):
        yield "values of the same name"
    for tensor in (*graph.initializer, *(each.t for each in attributes if each.type == 4)):
        if tensor.data_location or tensor.external_data:
            yield "data in other files"
        elif not _whole(tensor):
            yield f"a constant whose shape is not that of its data, {tensor.name[:40]!r}"


def _count_values(content: bytes, at: int, end: int, path: Sequence[int]) -> int:
    """Count the bytes of the values of constants in a message of the format, before it is parsed.

    Raises:
        ValueError: There is more besides than `STRUCTURE_BYTES`, or it is no message.
    """
    first, found = at, 0
    while at < end:
        key, at = _number(content, at)
        size = {1: 8, 5: 4}.get(key & 7, 0)
        if key & 7 in (0, 2):
            length, at = _number(content, at)
            size = length if key & 7 else 0
        if at + size > end or key & 7 not in (0, 1, 2, 5):
            raise ValueError("it is damaged")
        if key == path[0] << 3 | 2:
            found += _count_values(content, at, at + size, path[1:]) if len(path) > 1 else size
        at += size
        if at - first - found > STRUCTURE_BYTES:
            raise ValueError(f"more than {STRUCTURE_BYTES} bytes besides its weights")
    return found


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Read a number of the format, seven bits in each byte; returns it and where it ends."""
    found, shift = 0, 0
    while True:
        byte = content[at]
        found |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128 or shift > 63:
            return found, at


def _plain(attribute: Any) -> bool:
    known = {"name", "type", "doc_string", _ATTRIBUTES.get(attribute.type)}
    return {field.name for field, _ in attribute.ListFields()} <= known


def _whole(tensor: Any) -> bool:
    """Whether a tensor holds as many values as its shape says."""
    size = _ITEM_BYTES.get(tensor.data_type)
    if size is None or tensor.HasField("segment") or len(tensor.dims) > DIMENSIONS or min(tensor.dims, default=0) < 0:
        return False
    listed = len(tensor.float_data) + len(tensor.int32_data) + len(tensor.int64_data) + len(tensor.double_data)
    count: int = prod(tensor.dims)
    return count == listed if listed else count * size == len(tensor.raw_data)
