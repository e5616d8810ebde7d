"""Use a network that was exported to ONNX, in ONNX Runtime and without PyTorch."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.models.graph_model import AGAIN, GraphModel
from clipfold.models.onnx_graph import library, read_graph
from clipfold.models.record import Record
from clipfold.storage.files import Array

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Providers that may run a graph, the first choice first."""

MEMORY = 0.5
"""Most of the machine's memory that graphs may take, of one process on the CPU: a few bytes can ask for any amount."""


class OnnxModel(GraphModel):
    """An exported network that predicts from clips, on the GPU if ONNX Runtime can use one.

    Args:
        record: Record of the fit, `fit.json`.
        path: The graph; may come from a stranger.
        threads: CPU threads; 0: as `OMP_NUM_THREADS` says, else all cores.

    Raises:
        ValueError: The graph is none, reaches for what is outside of it, or has other inputs or outputs than the fit.
        MissingLibrary: The extra `export` is not installed.
    """

    def __init__(self, record: Record, path: Path, threads: int = 0) -> None:
        super().__init__(record)
        self._session = _start(read_graph(path), threads)
        self._inputs = [each.name for each in self._session.get_inputs()]
        known = {"clips": ("tensor(uint8)", self.clip), "boxes": ("tensor(int64)", [4])}
        for each in self._session.get_inputs():
            found = each.type, each.shape[1:]
            require(found == known.get(each.name), f"{path.name}: input {each.name}", found, AGAIN)
        require("clips" in self._inputs, f"{path.name}: inputs", self._inputs, AGAIN)
        given = [(each.type, each.shape[1:]) for each in self._session.get_outputs()]
        require(given == [("tensor(float)", [len(self.classes)])], f"{path.name}: outputs", given, AGAIN)

    def run(self, clips: Array, boxes: Array) -> Array:
        """Run the graph, see `GraphModel`."""
        (found,) = self._session.run(None, self._given(clips, boxes))
        return np.asarray(found)

    def inputs(self, clips: Array, boxes: Array) -> list[Mapping[str, Array]]:
        """Prepare clips as the graph takes them, each alone; arguments as for `predict_proba`."""
        return [self._given(**given) for given in super().inputs(clips, boxes)]

    def _given(self, clips: Array, boxes: Array) -> Mapping[str, Array]:
        given = {"clips": clips, "boxes": boxes}
        return {name: given[name] for name in self._inputs}


def _start(graph: bytes, threads: int) -> Any:
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, too
    asked = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = threads or (int(asked) if asked.isdecimal() else 0)
    _limit_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoding needs the cores, too
    available = runtime.get_available_providers()
    return runtime.InferenceSession(graph, options, providers=[name for name in PROVIDERS if name in available])


@cache
def _limit_memory() -> None:
    """Give the sessions of this process one pool of memory; a graph that asks for more raises an error."""
    runtime = library("onnxruntime")
    most = int(MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    pool = runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = runtime.OrtMemoryInfo("Cpu", pool, 0, runtime.OrtMemType.DEFAULT)
    as_asked = 1  # grow by what is asked for, not to the next power of two
    runtime.create_and_register_allocator(
        place, runtime.OrtArenaCfg({"max_mem": most, "arena_extend_strategy": as_asked})
    )
