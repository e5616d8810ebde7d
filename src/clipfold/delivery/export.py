"""Export the networks of a bundle to ONNX, and compare them with the bundle."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from clipfold.models.onnx_graph import graph_file, library
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.record import model_file, read_record, trainings
from clipfold.storage.files import Array, write_json
from clipfold.storage.replace import write_whole

INT8 = "onnx-int8"

TOLERANCES: Mapping[str, float] = {"onnx": PROBABILITY, INT8: TOLERANCE}
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
    """Write a bundle whose networks are ONNX graphs; all else stays as it is.

    Args:
        bundle: The bundle.
        to: One of `TOLERANCES`.
        output: Bundle to write: a file if it ends in `.clipfold`, else a new folder.
        videos: Videos like those to predict. `onnx-int8` needs them: half of them calibrate. Both bundles are compared
            on the others.
        threads: CPU threads to compare with, besides one; 0: all cores.

    Returns:
        A row for each training of each network and each number of threads; how both bundles agree on the videos.

    Raises:
        ValueError: The bundle has no network, one cannot be exported, or the export differs by more than `TOLERANCES`
            or `CHANGED`; nothing is written then.
        MissingLibrary: The extra `export` is not installed.
    """
    require(to in TOLERANCES, "to", to, f"use {' or '.join(TOLERANCES)}")
    file = output.suffix == SUFFIX
    require(file or not output.exists(), "output", str(output), f"it exists: use a new name, or one in {SUFFIX}")
    require(to != INT8 or bool(videos), "videos", None, f"{INT8} needs some to calibrate: add --videos FOLDER")
    for name in ("onnx", "onnxruntime", "onnxscript"):
        library(name)
    with OpenBundle.open(bundle) as eager, TemporaryDirectory(prefix="clipfold-") as made:
        _ = eager.fits  # which checks them: a bundle may come from a stranger
        folder = Path(copytree(eager.folder, Path(made, "bundle")))
        places = list(_networks(folder))
        require(bool(places), "bundle", str(bundle), "it has no network on clips: other models have no use for it")
        given = _given(eager, videos, to) if videos else None
        golden, ranges = golden_clips(eager), given.calibrate if given else None
        rows = [row for place in places for row in _export_fit(folder, place, golden, ranges, threads)]
        versions = {**eager.description["versions"], "onnxruntime": library("onnxruntime").__version__}
        described = {**eager.description, "format": EXPORTED, "tolerance": TOLERANCES[to], "versions": versions}
        write_description(folder, described | {"files": listed(folder)})
        with OpenBundle.open(folder) as exported:
            problems = golden_problems(exported)
            agreed = agreement(eager, exported, given.compare, given.labels) if given else None
        accept(str(bundle), problems, rows, agreed, TOLERANCES[to])
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


def accept(
    bundle: str, problems: Sequence[str], rows: Sequence[Compared], agreed: Agreement | None, tolerance: float
) -> None:
    """Refuse an export that answers otherwise.

    Raises:
        ValueError: It does.
    """
    kept = "nothing is written; keep predicting with the bundle itself"
    remedy = f"{kept}, or use --to onnx" if tolerance > PROBABILITY else kept
    if problems:
        off = max(row.difference for row in rows)
        raise ValueError(
            f"{bundle}: the export differs by up to {off:.2g}, and {tolerance:g} is allowed ({problems[0]}): {remedy}"
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
    folder: Path, place: Path, golden: tuple[Array, Array], ranges: tuple[Array, Array] | None, threads: int
) -> Iterator[Compared]:
    """Replace the weights of a fit by graphs, and compare both."""
    from clipfold.models.clip_model import ClipModel  # loads PyTorch
    from clipfold.models.to_int8 import to_int8
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
        if ranges:
            write_whole(path, to_int8(path.read_bytes(), OnnxModel(record, path).inputs(*ranges)))
        eager = ClipModel(record, weights, folder / ENCODERS, training)
        sizes = weights.stat().st_size // number, path.stat().st_size
        for count in sorted({1, threads or cores()}):
            yield compare(name, (eager, OnnxModel(record, path, count)), sizes, golden, count)
    weights.unlink()
    write_json(place / "fit.json", {**record, "exported": "onnx"})


def _write(folder: Path, output: Path, file: bool) -> None:
    if file:
        pack(folder, output)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as made, reading(folder) as source:
        source.unpack(whole := Path(made, "bundle"))
        whole.rename(output)
