"""Predict many videos: in parts that are kept, so that an interrupted prediction continues."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clipfold.checks import require
from clipfold.delivery.embedding import COLUMN
from clipfold.delivery.inputs import INPUTS, describe
from clipfold.delivery.outputs import SUFFIXES, check_output
from clipfold.delivery.prepare import Prepared, cores, prepare, require_some
from clipfold.manifest.contents import stamp
from clipfold.storage.files import PathLike, read_frame, write_table
from clipfold.storage.records import read_or_ignore
from clipfold.storage.replace import replacing
from clipfold.video.parts import NOTHING, Segment, Stated, by_source

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle

logger = logging.getLogger(__name__)

PART = 32
"""Videos of a part: what an interruption may cost."""


def predict_videos(
    bundle: "OpenBundle",
    paths: Mapping[str, str],
    workers: int | None = None,
    memory_mb: int | None = None,
    stated: Stated = NOTHING,
) -> pd.DataFrame:
    """Predict videos, all at once.

    Args:
        bundle: The bundle.
        paths: id -> file of each video.
        workers: Processes to decode with; all cores by default.
        memory_mb: Memory that these may use; None for no limit.
        stated: Segments and frames per second, of videos for which a table states them.

    Returns:
        A row for each video, in the order of `paths`:

        - `id`, `path`;
        - `label`: the class, None for a video that cannot be predicted, as all that follows;
        - `p_<class>`: calibrated probability, mean over the fits; float64;
        - `spread`: its standard deviation over the fits, for the named class;
        - `distance`: how far the video is from the training data, see `clipfold.delivery.distance`: above 1, farther
          than 95 % of the training videos are from each other;
        - `embedding_distance`: the same in the space of the model's frozen encoder, see `clipfold.delivery.embedding`;
          only for bundles that have one;
        - `status`, `reason`: `ok`, or why it cannot be predicted;
        - `seen`: whether it is one of the training videos, by content;
        - `bundle`: id of the bundle;
        - `profile`: how it was predicted, if otherwise than the folds were evaluated;
        - `input.<name>`: what it looks like, see `clipfold.delivery.inputs`.
    """
    return answer(bundle, prepare(bundle, paths, workers or cores(), memory_mb, stated))


def answer(bundle: "OpenBundle", prepared: Prepared) -> pd.DataFrame:
    """Predict prepared videos; returns a table as `predict_videos`."""
    rows = pd.DataFrame(prepared.videos).set_index("id", drop=False)
    names = [f"p_{name}" for name in bundle.classes]
    distances = ["distance", *([COLUMN] if bundle.embedded else [])]
    table = rows.reindex(columns=["id", "path", "label", *names, "spread", *distances, "status", "reason"])
    inputs = pd.DataFrame(np.nan, index=rows.index, columns=[f"input.{name}" for name in INPUTS])
    digests = [prepared.probed[name].get("digest") or "" for name in rows.index]
    table["seen"] = [digest[:16] in bundle.seen for digest in digests]
    table["bundle"] = bundle.id
    if bundle.profile.changes:
        table["profile"] = str(bundle.profile)
    table = pd.concat([table, inputs], axis=1)
    table["label"] = table["label"].astype(object)
    if prepared.usable:
        raw = bundle.probabilities(features=prepared.features, clips=prepared.clips, boxes=prepared.boxes)
        found = bundle.answers(raw)
        described = [
            describe(prepared.probed[name], clip, box, frames)
            for name, clip, box, frames in zip(
                prepared.usable, prepared.clips, prepared.boxes, prepared.frames, strict=True
            )
        ]
        inputs = pd.DataFrame(described)
        table.loc[prepared.usable, "label"] = found.labels
        table.loc[prepared.usable, names] = found.probabilities
        table.loc[prepared.usable, "spread"] = found.spread
        table.loc[prepared.usable, [f"input.{name}" for name in INPUTS]] = inputs[list(INPUTS)].to_numpy()
        table.loc[prepared.usable, "distance"] = bundle.reference.distances(inputs[bundle.reference.names].to_numpy())
        if bundle.embedded:
            table.loc[prepared.usable, COLUMN] = bundle.embedded.distances(bundle.embed(prepared.clips))
    return table.astype(dict.fromkeys((*names, "spread", *distances), "float64")).reset_index(drop=True)


def predict_to(
    bundle: "OpenBundle",
    paths: Mapping[str, str],
    output: PathLike,
    workers: int | None = None,
    memory_mb: int | None = None,
    progress: Callable[[int], None] = lambda videos: None,
    finish: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    stated: Stated = NOTHING,
) -> pd.DataFrame:
    """Predict videos and write the table; parts that an interrupted call with the same bundle left are kept.

    Args:
        bundle: The bundle.
        paths: id -> file of each video.
        output: Table to write; its suffix, one of `SUFFIXES`, names the format.
        workers: Processes to decode with; all cores by default.
        memory_mb: Memory that these may use; None for no limit.
        progress: Called with the number of videos of each part that is done.
        finish: Changes the table before it is written.
        stated: Segments and frames per second, of videos for which a table states them.

    Returns:
        The table, see `predict_videos`.

    Raises:
        ValueError: The suffix is none of these, or there are no videos.
    """
    output = Path(output)
    check_output(output)
    require_some(paths)
    folder = output.with_name(f".{output.name}.parts")
    tables = []
    for part in _parts(_by_time(paths, stated.segments)):
        own = stated.of(part)
        file = folder / f"{_key(bundle, part, own)}.parquet"
        table = read_or_ignore(file, partial(_parse, schema_of(bundle)))
        if table is None:
            table = as_arrow(predict_videos(bundle, part, workers, memory_mb, own), schema_of(bundle))
            write_table(file, table)
        tables.append(table)
        progress(len(part))
    frame = finish(
        pa.concat_tables(tables).to_pandas().set_index("id", drop=False).loc[list(paths)].reset_index(drop=True)
    )
    write_predictions(frame, output)
    shutil.rmtree(folder, ignore_errors=True)
    return frame


def _parse(schema: pa.Schema, content: bytes) -> pa.Table:
    table = pq.read_table(pa.BufferReader(content))
    require(table.schema == schema, "columns", table.schema.names, "those of another version")
    return table


def _by_time(paths: Mapping[str, str], segments: Mapping[str, Segment]) -> dict[str, str]:
    """Order segments by file and time, so that a part decodes a stretch of few files."""
    if not segments:
        return dict(paths)
    sources = list(by_source(paths, segments))
    parts = (part for _, _, parts in sources for part in sorted(parts, key=lambda part: (part.start or 0, part.id)))
    return {part.id: paths[part.id] for part in parts}


def _parts(paths: Mapping[str, str]) -> Iterator[dict[str, str]]:
    upcoming = iter(paths.items())
    while part := dict(islice(upcoming, PART)):
        yield part


def _key(bundle: "OpenBundle", part: Mapping[str, str], stated: Stated) -> str:
    """Name a part by the bundle, its profile and its videos, which a file that was written to since is not."""
    videos = [(name, path, stamp(path), *stated.segments.get(name, ())) for name, path in part.items()]
    seen = json.dumps([bundle.id, bundle.profile.changes, videos, stated.rates])
    return hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()


def schema_of(bundle: "OpenBundle") -> pa.Schema:
    """Return the columns of predictions by a bundle, the same whatever was predicted."""
    text = ("id", "path", "label", "status", "reason", "bundle", "profile")
    names = ["id", "path", "label", *(f"p_{name}" for name in bundle.classes), "spread", "distance"]
    names += [*([COLUMN] if bundle.embedded else []), "status", "reason"]
    names += ["seen", "bundle", *(["profile"] if bundle.profile.changes else [])]
    names += [f"input.{name}" for name in INPUTS]
    kinds = dict.fromkeys(text, pa.string()) | {"seen": pa.bool_()}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in names])


def as_arrow(table: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Convert predictions to a table with these columns."""
    return pa.Table.from_pandas(table, schema, preserve_index=False).replace_schema_metadata(None)


def write_predictions(table: pd.DataFrame, output: Path) -> None:
    """Write predictions in the format that the suffix of the file names."""
    if output.suffix == ".parquet":
        write_table(output, pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None))
        return
    with replacing(output) as file:
        if output.suffix == ".csv":
            table.to_csv(file, index=False)
        else:
            for row in table.to_dict("records"):
                known: dict[str, Any] = {str(k): None if v is None or v != v else v for k, v in row.items()}
                file.write((json.dumps(known, ensure_ascii=False) + "\n").encode())


def read_predictions(path: PathLike) -> pd.DataFrame:
    """Read a table that `write_predictions` wrote.

    Raises:
        ValueError: It has another suffix, or cannot be read.
    """
    path = Path(path)
    require(path.suffix in SUFFIXES, "predictions", str(path), f"use a table that ends in {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".parquet":
            return read_frame(path)
        if path.suffix == ".csv":
            text = dict.fromkeys(("id", "path", "label", "true_label", "group"), str)
            return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])  # a class may be named `None`
        return pd.read_json(path, lines=True, dtype={"id": str, "path": str, "label": str})
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ValueError(f"predictions is {str(path)!r}: it cannot be read ({error}): predict again") from None
