"""Record a fit while it runs: history, log, TensorBoard curves, and the bottleneck of its speed."""

import logging
import math
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from clipfold.storage.files import Array, PathLike
from clipfold.storage.replace import replacing
from clipfold.training.batches import Batch, BatchSource
from clipfold.training.verdict import verdict

logger = logging.getLogger(__name__)

_EVERY = 30.0  # seconds between log lines within a long epoch
_SAMPLE_EVERY = 1.0  # seconds between looks at how busy the GPU is: the driver's figure is of about the last one


class Recorder:
    """The records of one fit; of several processes, only the first writes them.

    Args:
        settings: Settings of the model.
        history: CSV file with a row per epoch, rewritten after each.
        folder: Folder for TensorBoard's files and the profiler's trace.
        val: Validation videos.
        device: Device of the network.
        first: True in the first process.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        history: PathLike,
        folder: PathLike,
        val: BatchSource,
        device: torch.device,
        first: bool,
    ) -> None:
        self._history, self._folder, self._val, self._device, self._first = history, Path(folder), val, device, first
        self._started, self._cpu = time.monotonic(), time.process_time()
        self._waited = self._worked = 0.0
        self._clips = 0
        self._busy: list[int] = []
        self._sampled = 0.0
        self._settings = settings
        self._profile = settings["profile"] and first
        self._writer: Any = None
        if settings["tensorboard"] and first:
            from torch.utils.tensorboard import SummaryWriter  # heavy, and needed only here

            # A name that nobody can put a link at in advance.
            self._writer = SummaryWriter(str(self._folder), filename_suffix=f".{secrets.token_hex(8)}")

    def seconds(self) -> float:
        """Return the seconds since the start of the fit."""
        return time.monotonic() - self._started

    def warn(self, message: str, *values: object) -> None:
        """Log a problem that was handled."""
        logger.warning(message, *values)

    def timed(self, batches: Iterator[Batch], steps: int, done: int) -> Iterator[Batch]:
        """Pass batches on, show progress on a terminal and in the log, and measure where time goes."""
        bar = tqdm(
            total=steps, initial=done, unit="step", leave=False, disable=not (self._first and sys.stderr.isatty())
        )
        logged = time.monotonic()
        with bar, self._profiler() as profiler:
            while True:
                before = time.monotonic()
                batch = next(batches, None)
                got = time.monotonic()
                if batch is None:
                    return
                yield batch
                now = time.monotonic()
                self._waited, self._worked = self._waited + got - before, self._worked + now - got
                self._clips += len(batch.clips)
                done += 1
                bar.update()
                if profiler is not None:
                    profiler.step()
                if now - logged > _EVERY:
                    logged = now
                    logger.info("step %d of %d in this epoch, %.2f clips/s", done, steps, self._rate())
                if self._device.type == "cuda" and now - self._sampled > _SAMPLE_EVERY:
                    self._sampled = now
                    self._sample_utilisation()

    def epoch(self, history: Sequence[Mapping[str, float]], epochs: int, probabilities: Array) -> None:
        """Record the end of an epoch."""
        if not self._first:
            return
        self.write(history)
        row = history[-1]
        logger.info("epoch %d of %d: %s", row["epoch"], epochs, {k: round(v, 5) for k, v in row.items()})
        if self._writer is not None:
            for name, value in row.items():
                self._writer.add_scalar(name, value, row["epoch"])
            for c in range(1, probabilities.shape[1]):
                self._writer.add_pr_curve(f"class {c}", self._val.targets == c, probabilities[:, c], int(row["epoch"]))
            if row["epoch"] == 1:
                self._show_clips()
            self._writer.flush()

    def write(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the whole history."""
        with replacing(self._history) as file:
            pd.DataFrame(history).to_csv(file, index=False)

    def close(self, memory: float | None) -> dict[str, Any]:
        """Finish the records.

        Args:
            memory: Largest share of the GPU's memory that training used; None on a CPU.

        Returns:
            The throughput, what it is bound by, and the setting that would help most.
        """
        if self._writer is not None:
            self._writer.close()
        total = self._waited + self._worked
        waited = self._waited / total if total else 0.0
        cores = (time.process_time() - self._cpu) / max(self.seconds(), 1e-9)
        facts: dict[str, Any] = {"clips_per_second": round(self._rate(), 3), "waiting_share": round(waited, 4)}
        facts["cpu_cores_used"] = round(cores, 2)
        facts["device_utilisation"] = round(float(np.mean(self._busy)), 1) if self._busy else None
        facts["device_memory_share"] = memory
        facts["verdict"], facts["remedy"] = verdict(
            waited, facts["device_utilisation"], memory, self._device.type, self._settings
        )
        advice = f"; what would help most: {facts['remedy']}" if facts["remedy"] else ""
        logger.info("%s clips/s; %s%s", facts["clips_per_second"], facts["verdict"], advice)
        return facts

    def _rate(self) -> float:
        total = self._waited + self._worked
        return self._clips / total if total else 0.0

    def _profiler(self) -> Any:
        """Trace three steps of the first epoch, for chrome://tracing or Perfetto."""
        if not self._profile:
            return nullcontext()
        self._profile = False
        return torch.profiler.profile(
            schedule=torch.profiler.schedule(wait=1, warmup=1, active=3, repeat=1), on_trace_ready=self._write_trace
        )

    def _write_trace(self, profiler: Any) -> None:
        with replacing(self._folder / "trace.json") as file:
            profiler.export_chrome_trace(file.name)

    def _sample_utilisation(self) -> None:
        try:
            self._busy.append(torch.cuda.utilization(self._device))
        except Exception as error:  # optional: the driver's library or its Python package is missing
            self._sampled = math.inf
            logger.info("how busy the GPU is cannot be told: %s", error)

    def _show_clips(self) -> None:
        """Show a few validation clips as filmstrips."""
        some = np.arange(min(4, len(self._val.ids)))
        batch = next(iter(self._val.batches([(some, np.zeros_like(some))])))
        if batch.clips.dtype == torch.uint8:
            filmstrips = batch.clips.permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)
            self._writer.add_image("clips", filmstrips.cpu().numpy(), 0, dataformats="HWC")
