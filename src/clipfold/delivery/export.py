"""Export the networks of a bundle to ONNX, and compare them with the bundle."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from clipfold.checks import require
from clipfold.delivery.description import EXPORTED
from clipfold.delivery.format import ENCODERS, SUFFIX, listed, pack, reading, write_description
from clipfold.delivery.golden import PROBABILITY, golden_clips, golden_problems
from clipfold.delivery.opened import OpenBundle
from clipfold.models.load import FittedModel
from clipfold.models.onnx_graph import graph_file, library
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.record import model_file, read_record, trainings
from clipfold.storage.files import Array, write_json
from clipfold.storage.replace import write_whole

FORMATS = ("onnx",)
"""What bundles are exported to."""

RUNS = 7
"""Measured predictions of a clip, after one that is not measured."""


@dataclass(frozen=True, slots=True)
class Compared:
    """An exported network beside the one in the bundle.

    Args:
        fit: Its folder in the bundle, and which training of several.
        threads: CPU threads.
        eager_ms: Time in ms to predict one stored clip with PyTorch, the median of `RUNS`.
        onnx_ms: The same with ONNX Runtime.
        eager_bytes: Size of the weights.
        onnx_bytes: Size of the graph, which holds them.
        difference: Largest difference of a probability on the golden videos, before calibration.
    """

    fit: str
    threads: int
    eager_ms: float
    onnx_ms: float
    eager_bytes: int
    onnx_bytes: int
    difference: float


def export(bundle: Path, to: str, output: Path, threads: int = 0) -> list[Compared]:
    """Write a bundle whose networks are ONNX graphs; all else stays as it is.

    Args:
        bundle: The bundle.
        to: One of `FORMATS`.
        output: Bundle to write: a file if it ends in `.clipfold`, else a new folder.
        threads: CPU threads to compare with, besides one; 0: all cores.

    Returns:
        A row for each training of each network and each number of threads.

    Raises:
        ValueError: The bundle has no network, one cannot be exported, or the golden test differs afterwards; nothing is
            written then.
        MissingLibrary: The extra `export` is not installed.
    """
    require(to in FORMATS, "to", to, f"use {' or '.join(FORMATS)}")
    file = output.suffix == SUFFIX
    require(file or not output.exists(), "output", str(output), f"it is there: use a new name, or one in {SUFFIX}")
    for name in ("onnx", "onnxruntime", "onnxscript"):
        library(name)
    with OpenBundle.open(bundle) as eager, TemporaryDirectory(prefix="clipfold-") as made:
        _ = eager.fits  # which checks them: a bundle may come from a stranger
        folder = Path(copytree(eager.folder, Path(made, "bundle")))
        places = list(_networks(folder))
        require(bool(places), "bundle", str(bundle), "it has no network on clips: other models have no use for it")
        clips, boxes = golden_clips(eager)
        rows = [row for place in places for row in _export_fit(folder, place, clips, boxes, threads)]
        versions = {**eager.description["versions"], "onnxruntime": library("onnxruntime").__version__}
        described = {**eager.description, "format": EXPORTED, "versions": versions}
        write_description(folder, described | {"files": listed(folder)})
        with OpenBundle.open(folder) as exported:
            problems = golden_problems(exported)
        if problems:
            off = max(row.difference for row in rows)
            raise ValueError(
                f"{bundle}: the export differs by up to {off:.2g}, and {PROBABILITY:g} is allowed ({problems[0]}): "
                "nothing is written; keep predicting with the bundle itself"
            )
        _write(folder, output, file)
    return rows


def table(rows: Sequence[Compared]) -> Iterator[str]:
    """Yield the lines of a table of what `export` returned, and a remark for each network that became slower."""
    yield f"{'FIT':28} THREADS  EAGER ms  ONNX ms  EAGER MB  ONNX MB  DIFFERENCE"
    for row in rows:
        sizes = f"{row.eager_bytes / 1e6:8.2f}  {row.onnx_bytes / 1e6:7.2f}"
        times = f"{row.eager_ms:8.2f}  {row.onnx_ms:7.2f}"
        slower = "" if row.onnx_ms <= row.eager_ms else f"  slower, {row.onnx_ms / row.eager_ms:.1f} times"
        yield f"{row.fit:28} {row.threads:7}  {times}  {sizes}  {row.difference:10.1e}{slower}"


def _networks(folder: Path) -> Iterator[Path]:
    """Yield the folders of fits on clips, those of members of ensembles too."""
    for path in sorted((folder / "fits").rglob("fit.json")):
        record = read_record(path)
        if record["input"] == "clips":
            name = str(path.parent.relative_to(folder))
            require("exported" not in record, name, record.get("exported"), "it is exported already: use the original")
            require(not record["embedded"], name, "a network on embeddings", "export a model that has no `freeze`")
            yield path.parent


def _export_fit(folder: Path, place: Path, clips: Array, boxes: Array, threads: int) -> Iterator[Compared]:
    """Replace the weights of a fit by graphs, and compare both."""
    from clipfold.models.clip_model import ClipModel  # loads PyTorch
    from clipfold.models.to_onnx import NoGraph, to_onnx

    record = read_record(place / "fit.json")
    weights, number = model_file(place, record), trainings(record)
    for training in range(number):
        path = graph_file(place, training)
        name = str(place.relative_to(folder)) + (f" ({training})" if number > 1 else "")
        try:
            write_whole(path, to_onnx(record, weights, folder / ENCODERS, training))
        except NoGraph as error:
            raise ValueError(f"{name}: {error}") from error
        eager = ClipModel(record, weights, folder / ENCODERS, training)
        sizes = weights.stat().st_size // number, path.stat().st_size
        for count in sorted({1, threads or len(os.sched_getaffinity(0))}):
            onnx = OnnxModel(record, path, count)
            both = [each.predict_proba(clips=clips, boxes=boxes) for each in (eager, onnx)]
            difference = float(np.abs(both[0] - both[1]).max())
            yield Compared(name, count, *_times(eager, onnx, clips, boxes, count), *sizes, difference)
    weights.unlink()
    write_json(place / "fit.json", {**record, "exported": "onnx"})


def _times(eager: FittedModel, onnx: FittedModel, clips: Array, boxes: Array, threads: int) -> tuple[float, float]:
    """Measure how long each takes for the first clip, in ms."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first, second = (_median(partial(m.predict_proba, clips=clips[:1], boxes=boxes[:1])) for m in (eager, onnx))
    finally:
        torch.set_num_threads(before)
    return first, second


def _median(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def _write(folder: Path, output: Path, file: bool) -> None:
    if file:
        pack(folder, output)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as made, reading(folder) as source:
        source.unpack(whole := Path(made, "bundle"))
        whole.rename(output)
