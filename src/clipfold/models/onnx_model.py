"""Use a network that was exported to ONNX, in ONNX Runtime and without PyTorch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.models.onnx_graph import library, read_graph
from clipfold.models.record import Record
from clipfold.models.shared_clips import SharedClips
from clipfold.models.stored_clips import check_clips, resized, scaled_boxes
from clipfold.storage.files import Array

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Providers that may run a graph, the first choice first."""

MEMORY = 0.5
"""Most of the machine's memory that graphs may take, of one process on the CPU: a few bytes can ask for any amount."""

_AGAIN = "get the bundle again, or export it again"


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
        self._clips: Any = settings.get("clips", 1)  # of each video
        self._batch: Any = settings.get("predict_batch") or record.get("micro_batch")
        numbers = {"size": self._size, "frames": self._frames, "clips": self._clips, "micro_batch": self._batch}
        for name, value in numbers.items():
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
        found = np.zeros((len(shared.stored), len(self.classes)))
        for first, given in self._batches(shared, boxes, self._batch):
            part = found[first : first + self._batch]
            (own,) = self._session.run(None, given)
            good = own.shape == part.shape and bool(np.allclose(own.sum(axis=1), 1, atol=1e-3))
            require(good, "probabilities", list(own.shape), f"rows of {len(self.classes)} must sum to 1: {_AGAIN}")
            part += own / self._clips  # as `clipfold.training.predict`
        return found

    def inputs(self, clips: Array, boxes: Array) -> list[Mapping[str, Array]]:
        """Prepare clips as the graph takes them, each alone; arguments as for `predict_proba`."""
        return [given for _, given in self._batches(SharedClips(clips), boxes, 1)]

    def _batches(
        self, shared: SharedClips, boxes: Sequence[Any] | Array | None, batch: int
    ) -> Iterator[tuple[int, Mapping[str, Array]]]:
        """Yield the first video of each batch, and a clip of each of its videos; every clip comes in its turn."""
        count = check_clips(shared.stored, self._size, self._frames, self._clips)
        scaled = scaled_boxes(boxes, shared.stored, self._size)
        for first in range(0, count, batch):
            for clip in range(self._clips):
                taken = resized(shared, first, first + batch, self._size, self._frames, self._clips, clip)
                given = {"clips": taken, "boxes": scaled[first : first + batch]}
                yield first, {name: given[name] for name in self._inputs}

    def embed(self, clips: Array) -> None:
        """Return None: there is no encoder."""


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
