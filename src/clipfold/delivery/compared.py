"""Compare exported networks with those of the bundle: time, size, probabilities, decisions."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from clipfold.delivery.opened import OpenBundle
from clipfold.models.load import FittedModel
from clipfold.storage.files import Array

RUNS, SECONDS = 7, 2.0
"""Most measured predictions, after one that is not measured, and when to end before."""

BATCH = 8
"""Clips that are predicted together to measure how long each takes among others."""


@dataclass(frozen=True, slots=True)
class Compared:
    """An exported network beside the one in the bundle.

    Args:
        fit: Its folder in the bundle, and which training of several.
        threads: CPU threads.
        eager_ms: Time in ms to predict one stored clip alone with PyTorch, a median.
        exported_ms: The same with the exported one.
        eager_batch_ms: Time in ms for a clip among `BATCH`, as `clipfold predict` has them.
        exported_batch_ms: The same with the exported one.
        eager_bytes: Size of the weights.
        exported_bytes: Size of the graph, which holds them.
        difference: Largest difference of a probability on the golden videos, before calibration.
    """

    fit: str
    threads: int
    eager_ms: float
    exported_ms: float
    eager_batch_ms: float
    exported_batch_ms: float
    eager_bytes: int
    exported_bytes: int
    difference: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an exported bundle says of videos, beside the original; of all fits together, after calibration.

    Args:
        videos: How many; none of them has calibrated the export.
        difference: Largest difference of a probability.
        changed: Videos for which it names another class.
        labelled: Those whose label is known.
        eager_right: Those of them that the original predicts rightly.
        exported_right: The same of the exported bundle.
    """

    videos: int
    difference: float
    changed: int
    labelled: int
    eager_right: int
    exported_right: int


def compare(
    fit: str,
    models: tuple[FittedModel, FittedModel],
    sizes: tuple[int, int],
    golden: tuple[Array, Array],
    threads: int,
) -> Compared:
    """Compare the two models of a fit, eager and exported, on clips.

    Args:
        fit: Its name.
        models: Both.
        sizes: Bytes of both.
        golden: Clips and boxes, as for `FittedModel.predict_proba`.
        threads: CPU threads, which the exported one has already.
    """
    import torch

    clips, boxes = golden
    each = [model.predict_proba(clips=clips, boxes=boxes) for model in models]
    before, times = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    try:
        for count in (1, BATCH):
            several = {"clips": np.resize(clips, (count, *clips.shape[1:])), "boxes": np.resize(boxes, (count, 4))}
            times += [_median(partial(model.predict_proba, **several)) / count for model in models]
    finally:
        torch.set_num_threads(before)
    eager, exported, eager_batch, exported_batch = times
    return Compared(
        fit, threads, eager, exported, eager_batch, exported_batch, *sizes, float(np.abs(each[0] - each[1]).max())
    )


def agreement(
    eager: OpenBundle, exported: OpenBundle, videos: Mapping[str, Any], labels: Sequence[str | None]
) -> Agreement:
    """Compare what two bundles say of videos.

    Args:
        eager: The original.
        exported: The other.
        videos: `features`, `clips` and `boxes`, as for `OpenBundle.probabilities`.
        labels: The label of each, None where it is not known.
    """
    first, second = (bundle.answers(bundle.probabilities(**videos)) for bundle in (eager, exported))
    known = [number for number, label in enumerate(labels) if label in eager.classes]
    right = [sum(found.labels[number] == labels[number] for number in known) for found in (first, second)]
    return Agreement(
        len(first.labels),
        float(np.abs(first.probabilities - second.probabilities).max()),
        sum(one != other for one, other in zip(first.labels, second.labels, strict=True)),
        len(known),
        *right,
    )


def table(rows: Sequence[Compared], agreed: Agreement | None) -> Iterator[str]:
    """Yield the lines of a table, with a remark wherever the export is slower, larger or worse."""
    yield f"{'FIT':28} THREADS  {'ms A CLIP':>17}  {f'ms AMONG {BATCH}':>17}  {'MB':>17}  DIFFERENCE"
    for row in rows:
        alone, among = (row.eager_ms, row.exported_ms), (row.eager_batch_ms, row.exported_batch_ms)
        sizes = row.eager_bytes / 1e6, row.exported_bytes / 1e6
        figures = "  ".join(f"{f'{one:.2f} -> {other:.2f}':>17}" for one, other in (alone, among, sizes))
        remarks = (("slower alone", alone), ("slower among others", among), ("larger", sizes))
        notes = [f"{what}, {other / one:.2f} times" for what, (one, other) in remarks if other > 1.05 * one]
        yield f"{row.fit:28} {row.threads:7}  {figures}  {row.difference:10.1e}  {'; '.join(notes)}".rstrip()
    if agreed:
        yield (
            f"On {agreed.videos} videos: largest difference of a probability {agreed.difference:.2g}, "
            f"{agreed.changed} decisions changed"
        )
        if agreed.labelled:
            worse = "  worse" if agreed.exported_right < agreed.eager_right else ""
            yield f"Right: {agreed.exported_right} of {agreed.labelled}, {agreed.eager_right} before{worse}"


def _median(run: Callable[[], Any]) -> float:
    times: list[float] = []
    run()
    while len(times) < RUNS and sum(times) < 1000 * SECONDS:
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
