"""Predict with the graph of an exported network, whatever runs it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.models.record import Record
from clipfold.models.shared_clips import SharedClips
from clipfold.models.stored_clips import check_clips, resized, scaled_boxes
from clipfold.storage.files import Array

AGAIN = "get the bundle again, or export it again"
"""What to do about a graph that is no good."""


class GraphModel:
    """An exported network that predicts from clips.

    Args:
        record: Record of the fit, `fit.json`.

    Attributes:
        classes: Class names, in the order of the probabilities.
        reads: What `predict_proba` needs.
        clip: Shape of a clip as the graph takes it: frames, size, size, 3.

    Raises:
        ValueError: The record lacks a number.
    """

    reads: frozenset[str] = frozenset({"clips"})

    def __init__(self, record: Record) -> None:
        self.classes: list[str] = record["classes"]
        settings = record["settings"]
        self._size: Any = settings.get("size")
        self._frames: Any = settings.get("frames")
        self._clips: Any = settings.get("clips", 1)  # of each video
        self._batch: Any = settings.get("predict_batch") or record.get("micro_batch")
        numbers = {"size": self._size, "frames": self._frames, "clips": self._clips, "micro_batch": self._batch}
        for name, value in numbers.items():
            require(type(value) is int and value >= 1, f"fit.json: {name}", value, "use a whole number, 1 or more")
        self.clip = [self._frames, self._size, self._size, 3]

    def run(self, clips: Array, boxes: Array) -> Array:
        """Run the graph.

        Args:
            clips: uint8 (batch, frames, size, size, 3).
            boxes: int64 (batch, 4).

        Returns:
            float32 (batch, classes).
        """
        raise NotImplementedError

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
            own = self.run(**given)
            good = own.shape == part.shape and bool(np.allclose(own.sum(axis=1), 1, atol=1e-3))
            require(good, "probabilities", list(own.shape), f"rows of {len(self.classes)} must sum to 1: {AGAIN}")
            part += own / self._clips  # as `clipfold.training.predict`
        return found

    def inputs(self, clips: Array, boxes: Array) -> list[Mapping[str, Array]]:
        """Prepare clips as `run` takes them, each alone; arguments as for `predict_proba`."""
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
                yield first, {"clips": taken, "boxes": scaled[first : first + batch]}

    def embed(self, clips: Array) -> None:
        """Return None: there is no encoder."""
