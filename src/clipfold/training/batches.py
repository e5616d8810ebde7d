"""Deliver batches: from GPU memory if the split fits into it, otherwise from files."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from clipfold.clips.reader import Clips
from clipfold.models.device import is_out_of_memory
from clipfold.storage.files import Array

logger = logging.getLogger(__name__)

Step = tuple[Array, Array]  # indices of the videos, and the version of each
_SHARE = 0.3  # largest share of the GPU's free memory that stored clips may take


@dataclass(frozen=True, slots=True)
class Batch:
    """The clips of one step, on the device.

    Args:
        clips: Clips as stored, `uint8` (batch, frames, size, size, 3), or embeddings (batch, frames, width).
        boxes: Their content boxes, int64 (batch, 4).
        targets: Class indices, int64 (batch,).
    """

    clips: Tensor
    boxes: Tensor
    targets: Tensor


class BatchSource:
    """The videos of one split, in batches.

    Args:
        clips: Clips of all videos.
        ids: Ids of the videos in the split.
        targets: Their class indices, int64 (ids,).
        device: Device to deliver batches to.
        workers: Processes that read ahead for a GPU if the split does not fit into its memory.
        augmented: Also serve the augmented copies.

    Attributes:
        clips: Clips of each video, its first versions.
        versions: Number of versions of each video.
        stored: All versions on the GPU, if they fit.
        shows_pixels: Whether clips come as stored pixels, not as embeddings.
        kind: `device` or `files`: where batches come from.
    """

    def __init__(
        self, clips: Clips, ids: Sequence[str], targets: Array, device: torch.device, workers: int, augmented: bool
    ) -> None:
        self.ids, self.targets, self.device = list(ids), targets, device
        self.clips = clips.number
        self.versions = [clips.versions(i) if augmented else self.clips for i in ids]
        self.shows_pixels = clips.dtype == np.uint8
        self._reader = _Reader(clips, self.ids, targets)
        self.stored: Tensor | None = None
        self._first = np.concatenate([[0], np.cumsum(self.versions)])
        self._loader: DataLoader[Any] | None = None
        if device.type == "cuda":
            needed = int(self._first[-1]) * int(np.prod(clips.shape)) * clips.dtype.itemsize
            if needed <= _SHARE * torch.cuda.mem_get_info(device)[0]:
                self.stored = self._load_if_it_fits(clips)
            if self.stored is not None:
                self._boxes = torch.from_numpy(clips.boxes(self.ids)).to(device)
                self._targets = torch.from_numpy(targets).to(device)
            else:
                self._steps: list[Step] = []
                self._loader = DataLoader(
                    self._reader,
                    batch_size=None,
                    sampler=self._steps,
                    num_workers=workers,
                    pin_memory=True,
                    persistent_workers=workers > 0,
                )
        self.kind = "device" if self.stored is not None else "files"

    def batches(self, steps: Sequence[Step]) -> Iterator[Batch]:
        """Yield the batch of each step, in order."""
        if self.stored is not None:
            of_each = [np.stack([videos, self._first[videos] + versions]) for videos, versions in steps]
            together = torch.from_numpy(np.concatenate([*of_each, np.empty((2, 0), np.int64)], axis=1))
            lengths = [len(videos) for videos, _ in steps]
            for videos, rows in torch.split(together.to(self.device, non_blocking=True), lengths, dim=1):
                yield Batch(self.stored[rows], self._boxes[videos], self._targets[videos])
        elif self._loader is not None:
            self._steps[:] = steps
            for arrays in self._loader:
                yield Batch(*(array.to(self.device, non_blocking=True) for array in arrays))
        else:  # files are in the page cache: reading ahead would only take cores away from training
            for step in steps:
                yield Batch(*(torch.from_numpy(array).to(self.device) for array in self._reader[step]))

    def _load_if_it_fits(self, clips: Clips) -> Tensor | None:
        """Load all clips; None if another process took the memory that was free before."""
        try:
            return self._load(clips)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        torch.cuda.empty_cache()
        logger.warning("the clips no longer fit into GPU memory: reading them from files")
        return None

    def _load(self, clips: Clips) -> Tensor:
        """Load all versions of all videos, video by video."""
        dtype = torch.from_numpy(np.empty(0, clips.dtype)).dtype
        stored = torch.empty((int(self._first[-1]), *clips.shape), dtype=dtype, device=self.device)
        for row, video, versions in zip(self._first, self.ids, self.versions, strict=False):
            stored[row : row + versions] = torch.from_numpy(clips.gather([video] * versions, range(versions)))
        return stored


class _Reader(Dataset[Any]):
    """A reader of the clips of a step from files; each worker process gets its own."""

    def __init__(self, clips: Clips, ids: list[str], targets: Array) -> None:
        self._clips, self._ids, self._targets = clips, ids, targets

    def __getitem__(self, step: Step) -> tuple[Array, Array, Array]:
        videos, versions = step
        ids = [self._ids[i] for i in videos]
        return self._clips.gather(ids, versions), self._clips.boxes(ids), self._targets[videos]
