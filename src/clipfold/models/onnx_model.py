"""Use a network that was exported to ONNX, in ONNX Runtime and without PyTorch."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.models.record import Record
from clipfold.models.shared_clips import SharedClips
from clipfold.models.stored_clips import check_clips, resized, scaled_boxes
from clipfold.storage.files import Array, PathLike

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""What may run a graph, the first choice first."""

GRAPH_BYTES = 2**31 - 1
"""Most bytes of a graph: the limit of its format."""

_AGAIN = "get the bundle again, or export it again"


class MissingLibrary(ValueError):
    """A library of the extra `export` is not installed."""


def library(name: str) -> Any:
    """Import a library of the extra `export`.

    Raises:
        MissingLibrary: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise MissingLibrary(f"{name} is missing: pip install 'clipfold[export]'") from None


def graph_file(folder: PathLike, training: int) -> Path:
    """Name the graph of a training of a network."""
    return Path(folder, f"model-{training}.onnx")


class OnnxModel:
    """An exported network that predicts from clips, on the GPU if ONNX Runtime can use one.

    Args:
        record: Record of the fit, `fit.json`.
        path: The graph; may come from a stranger.
        threads: CPU threads; 0: as `OMP_NUM_THREADS` says, else all cores.

    Attributes:
        classes: Class names, in the order of the probabilities.
        reads: What `predict_proba` needs.

    Raises:
        ValueError: The graph is none, reaches for what is outside of it, or has other inputs or outputs than the fit.
        MissingLibrary: The extra `export` is not installed.
    """

    reads: frozenset[str] = frozenset({"clips"})

    def __init__(self, record: Record, path: Path, threads: int = 0) -> None:
        self.classes: list[str] = record["classes"]
        settings = record["settings"]
        self._size: Any = settings.get("size")
        self._frames: Any = settings.get("frames")
        self._batch: Any = settings.get("predict_batch") or record.get("micro_batch")
        for name, value in (("size", self._size), ("frames", self._frames), ("micro_batch", self._batch)):
            require(type(value) is int and value >= 1, f"fit.json: {name}", value, "use a whole number, 1 or more")
        self._session = _start(read_graph(path), threads)
        self._inputs = [each.name for each in self._session.get_inputs()]
        clip = [self._frames, self._size, self._size, 3]
        known = {"clips": ("tensor(uint8)", clip), "boxes": ("tensor(int64)", [4])}
        for each in self._session.get_inputs():
            found = each.type, each.shape[1:]
            require(found == known.get(each.name), f"{path.name}: input {each.name}", found, _AGAIN)
        require("clips" in self._inputs, f"{path.name}: inputs", self._inputs, _AGAIN)
        given = [(each.type, each.shape[1:]) for each in self._session.get_outputs()]
        require(given == [("tensor(float)", [len(self.classes)])], f"{path.name}: outputs", given, _AGAIN)

    def predict_proba(
        self,
        *,
        features: Any = None,
        clips: Array | SharedClips | None = None,
        boxes: Sequence[Any] | Array | None = None,
    ) -> Array:
        """Predict the class probabilities of videos, see `clipfold.models.load.FittedModel`."""
        if clips is None:
            raise ValueError("clips is None: this model predicts from clips: pass an array of them")
        shared = SharedClips.of(clips)
        count = check_clips(shared.stored, self._size, self._frames)
        scaled = scaled_boxes(boxes, shared.stored, self._size)
        found = np.empty((count, len(self.classes)))
        for first in range(0, count, self._batch):
            part = slice(first, first + self._batch)
            taken = resized(shared, first, first + self._batch, self._size, self._frames)
            given = {"clips": taken, "boxes": scaled[part]}
            (own,) = self._session.run(None, {name: given[name] for name in self._inputs})
            good = own.shape == found[part].shape and bool(np.allclose(own.sum(axis=1), 1, atol=1e-3))
            require(good, "probabilities", list(own.shape), f"rows of {len(self.classes)} must sum to 1: {_AGAIN}")
            found[part] = own
        return found

    def embed(self, clips: Array) -> None:
        """Return None: there is no encoder."""


def read_graph(path: Path) -> bytes:
    """Read a graph that may come from a stranger: it must be whole in its file, and use standard operators alone.

    Without control flow it cannot run forever; without operators of other domains it runs no code but ONNX Runtime's.

    Raises:
        ValueError: It is no graph, or not such a one.
    """
    require(path.stat().st_size <= GRAPH_BYTES, path.name, f"over {GRAPH_BYTES} bytes", _AGAIN)
    checker, model = library("onnx.checker"), library("onnx").ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # of protobuf, whose versions raise different ones
        raise ValueError(f"{path.name} is no ONNX graph ({error}): {_AGAIN}") from None
    attributes = [each for node in model.graph.node for each in node.attribute]
    tensors = [
        *model.graph.initializer,
        *(each.t for each in attributes),
        *(tensor for each in attributes for tensor in each.tensors),
    ]
    domains = {each.domain for each in (*model.opset_import, *model.graph.node)} - {"", "ai.onnx"}
    sparse = model.graph.sparse_initializer or any(a.HasField("sparse_tensor") or a.sparse_tensors for a in attributes)
    outputs = [each.name for each in model.graph.output]
    named = [each.name for each in (*model.graph.input, *model.graph.initializer)]
    named += [name for node in model.graph.node for name in node.output if name]
    for what, wrong in (
        ("operators of other domains", domains or model.functions),
        ("data in other files", any(each.data_location or each.external_data for each in tensors)),
        ("graphs within operators", any(each.HasField("g") or each.graphs for each in attributes)),
        ("sparse tensors", sparse),
        ("several outputs", len(outputs) > 1),
        ("values of the same name", len({*named}) < len(named)),
    ):
        require(not wrong, path.name, what, f"no exported network has any: {_AGAIN}")
    try:
        checker.check_model(model)
    except Exception as error:  # of the checker, in C++
        first = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path.name} is no usable ONNX graph ({first}): {_AGAIN}") from None
    content: bytes = model.SerializeToString()  # what was checked, and nothing besides
    return content


def _start(graph: bytes, threads: int) -> Any:
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    asked = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = threads or (int(asked) if asked.isdecimal() else 0)
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoding needs the cores, too
    available = runtime.get_available_providers()
    return runtime.InferenceSession(graph, options, providers=[name for name in PROVIDERS if name in available])
