"""Export the networks of a bundle to ONNX or to programs of PyTorch, and compare them with the bundle."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

from clipfold.checks import require
from clipfold.delivery.compared import Agreement, Compared, agreement, compare, table
from clipfold.delivery.description import EXPORTED, TOLERANCE
from clipfold.delivery.format import CARD, ENCODERS, SUFFIX, listed, pack, reading, write_description
from clipfold.delivery.golden import PROBABILITY, golden_clips, golden_problems
from clipfold.delivery.opened import OpenBundle
from clipfold.delivery.prepare import Prepared, cores, prepare
from clipfold.delivery.sources import Sources
from clipfold.models.graph_model import GraphModel
from clipfold.models.onnx_graph import graph_file, library
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.record import Record, model_file, read_record, trainings
from clipfold.storage.files import Array, write_json
from clipfold.storage.replace import write_whole

INT8, PROGRAM = "onnx-int8", "torch-export"

TOLERANCES: Mapping[str, float] = {"onnx": PROBABILITY, INT8: TOLERANCE, PROGRAM: PROBABILITY}
"""Format of an export -> largest difference of a probability that their golden test allows."""

CHANGED = 0.02
"""Largest share of decisions that an export may change."""

LEAST, MOST = 8, 128
"""Videos to calibrate and compare with, half of them for each."""


@dataclass(frozen=True, slots=True)
class Given:
    """Videos like those to predict, as a bundle reads them.

    Args:
        calibrate: Clips and boxes to measure ranges with; None unless the export needs them.
        compare: `features`, `clips` and `boxes` to compare both bundles on.
        labels: Of those to compare on, where known.
    """

    calibrate: tuple[Array, Array] | None
    compare: Mapping[str, Any]
    labels: Sequence[str | None]


def export(
    bundle: Path, to: str, output: Path, videos: Sources | None = None, threads: int = 0
) -> tuple[list[Compared], Agreement | None]:
    """Write a bundle whose networks are ONNX graphs, or one that also has them as programs; all else stays as it is.

    Args:
        bundle: The bundle.
        to: One of `TOLERANCES`.
        output: Bundle to write: a file if it ends in `.clipfold`, else a new folder.
        videos: Videos like those to predict. `onnx-int8` needs them: half of them calibrate. Both bundles are compared
            on the others. None for `torch-export`: its bundle predicts by PyTorch, as the original.
        threads: CPU threads to compare with, besides one; 0: all cores.

    Returns:
        A row for each training of each network and each number of threads; how both bundles agree on the videos.

    Raises:
        ValueError: The bundle has no network, one cannot be exported, or the export differs by more than `TOLERANCES`
            or `CHANGED`; nothing is written then.
        MissingLibrary: The extra `export` is not installed.
    """
    require(to in TOLERANCES, "to", to, f"use {', '.join(TOLERANCES)}")
    file = output.suffix == SUFFIX
    require(file or not output.exists(), "output", str(output), f"it exists: use a new name, or one in {SUFFIX}")
    require(to != INT8 or bool(videos), "videos", None, f"{INT8} needs some to calibrate: add --videos FOLDER")
    alike = "leave it out: with torch-export both bundles predict by the same weights"
    require(to != PROGRAM or not videos, "videos", "given", alike)
    for name in ("onnx", "onnxruntime", "onnxscript") if to != PROGRAM else ():
        library(name)
    with OpenBundle.open(bundle) as eager, TemporaryDirectory(prefix="clipfold-") as made:
        _ = eager.fits  # which checks them: a bundle may come from a stranger
        folder = Path(copytree(eager.folder, Path(made, "bundle")))
        places = list(_networks(folder))
        require(bool(places), "bundle", str(bundle), "it has no network on clips: other models have no use for it")
        given = _given(eager, videos, to) if videos else None
        golden, ranges = golden_clips(eager), given.calibrate if given else None
        rows = [row for place in places for row in _export_fit(folder, place, to, golden, ranges, threads)]
        described: dict[str, Any] = {**eager.description}
        if to != PROGRAM:  # which leaves the bundle as it is for those who predict by it
            versions = {**eager.description["versions"], "onnxruntime": library("onnxruntime").__version__}
            described |= {"format": EXPORTED, "tolerance": TOLERANCES[to], "versions": versions}
        write_description(folder, described | {"files": listed(folder)})
        with OpenBundle.open(folder) as exported:
            problems = golden_problems(exported)
            agreed = agreement(eager, exported, given.compare, given.labels) if given else None
        accept(str(bundle), problems, rows, agreed, to)
        lines = "\n".join(table(rows, agreed))
        card = (folder / CARD).read_bytes() + f"\n## Exported to {to}\n\n```\n{lines}\n```\n".encode()
        write_whole(folder / CARD, card)
        write_description(folder, described | {"files": listed(folder)})
        _write(folder, output, file)
    return rows, agreed


def _given(bundle: OpenBundle, videos: Sources, to: str) -> Given:
    """Decode some of the videos, drawn at random: classes may take turns in a table."""
    names = random.Random(0).sample(sorted(videos.paths), min(MOST, len(videos.paths)))
    paths = {name: videos.paths[name] for name in names}
    found = prepare(bundle, paths, cores(), stated=videos.stated)
    count, least = len(found.usable), LEAST if to == INT8 else 1
    require(
        count >= least, "videos", f"{count} that can be used", f"name {least} or more, of the training data or alike"
    )
    if to != INT8:
        return Given(None, _part(found, slice(None)), [videos.labels.get(name) for name in found.usable])
    calibrate, other = slice(0, None, 2), slice(1, None, 2)
    labels = [videos.labels.get(name) for name in found.usable[other]]
    return Given((found.clips[calibrate], found.boxes[calibrate]), _part(found, other), labels)


def _part(found: Prepared, part: slice) -> dict[str, Any]:
    features = None if found.features is None else found.features.iloc[part]
    return {"features": features, "clips": found.clips[part], "boxes": found.boxes[part]}


def accept(bundle: str, problems: Sequence[str], rows: Sequence[Compared], agreed: Agreement | None, to: str) -> None:
    """Refuse an export that answers otherwise.

    Raises:
        ValueError: It does.
    """
    kept = "nothing is written; keep predicting with the bundle itself"
    remedy = f"{kept}, or use --to onnx" if to == INT8 else kept
    tolerance, off = TOLERANCES[to], max((row.difference for row in rows), default=0.0)
    if problems or (to == PROGRAM and off > tolerance):  # the golden test of a bundle asks no program
        cause = f" ({problems[0]})" if problems else ""
        raise ValueError(
            f"{bundle}: the export differs by up to {off:.2g}, and {tolerance:g} is allowed{cause}: {remedy}"
        )
    if agreed and agreed.changed > CHANGED * agreed.videos:
        raise ValueError(
            f"{bundle}: the export changes {agreed.changed} of {agreed.videos} decisions, a probability by up to "
            f"{agreed.difference:.2g}, and {CHANGED:.0%} is allowed: {remedy}"
        )


def _networks(folder: Path) -> Iterator[Path]:
    """Yield the folders of fits on clips, those of members of ensembles too."""
    for path in sorted((folder / "fits").rglob("fit.json")):
        record = read_record(path)
        if record["input"] == "clips":
            name = str(path.parent.relative_to(folder))
            require("exported" not in record, name, record.get("exported"), "it is exported already: use the original")
            require(not record["embedded"], name, "a network on embeddings", "export a model that has no `freeze`")
            yield path.parent


def _export_fit(
    folder: Path, place: Path, to: str, golden: tuple[Array, Array], ranges: tuple[Array, Array] | None, threads: int
) -> Iterator[Compared]:
    """Replace the weights of a fit by graphs, or add programs, and compare both."""
    from clipfold.models.clip_model import ClipModel  # loads PyTorch
    from clipfold.models.whole_network import NoGraph

    record = read_record(place / "fit.json")
    weights, number = model_file(place, record), trainings(record)
    for training in range(number):
        name = str(place.relative_to(folder)) + (f" ({training})" if number > 1 else "")
        fit = record, weights, folder / ENCODERS, training
        try:
            path, exported = _add_program(*fit) if to == PROGRAM else _add_graph(*fit, ranges)
        except NoGraph as error:
            raise ValueError(f"{name}: {error}") from error
        eager = ClipModel(*fit)
        sizes = weights.stat().st_size // number, path.stat().st_size
        for count in sorted({1, threads or cores()}):
            yield compare(name, (eager, exported(count)), sizes, golden, count)
    if to != PROGRAM:
        weights.unlink()
        write_json(place / "fit.json", {**record, "exported": "onnx"})


def _add_graph(
    record: Record, weights: Path, encoders: Path, training: int, ranges: tuple[Array, Array] | None
) -> tuple[Path, Callable[[int], GraphModel]]:
    """Write a graph beside the weights; return its file, and what opens it with a number of threads."""
    from clipfold.models.to_int8 import to_int8  # loads PyTorch
    from clipfold.models.to_onnx import to_onnx

    path = graph_file(weights.parent, training)
    write_whole(path, to_onnx(record, weights, encoders, training))
    if ranges:
        write_whole(path, to_int8(path.read_bytes(), OnnxModel(record, path).inputs(*ranges)))
    return path, partial(OnnxModel, record, path)


def _add_program(
    record: Record, weights: Path, encoders: Path, training: int
) -> tuple[Path, Callable[[int], GraphModel]]:
    """Write a program beside the weights, as `_add_graph` does; clipfold never loads it from there."""
    from clipfold.models.program_model import ProgramModel  # loads PyTorch
    from clipfold.models.to_program import to_program

    path, program = weights.with_name(f"model-{training}.pt2"), to_program(record, weights, encoders, training)
    write_whole(path, program)
    return path, lambda threads: ProgramModel(record, program)  # `compare` sets the threads of PyTorch


def _write(folder: Path, output: Path, file: bool) -> None:
    if file:
        pack(folder, output)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as made, reading(folder) as source:
        source.unpack(whole := Path(made, "bundle"))
        whole.rename(output)
