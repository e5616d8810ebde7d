"""Embeddings of frames as features of a video: what a frozen encoder sees, and how it changes over time.

A row per video is one list of numbers in the table, since thousands of columns are slow to read; columns get their
names, `embedding.ENCODER.NAME`, when it is read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clipfold.storage.files import Array, PathLike, open_array, read_json, read_table, write_table

STATISTICS = {
    "mean": "mean over the frames",
    "sd": "standard deviation over the frames",
    "change_mean": "mean absolute difference of neighbouring frames",
    "change_max": "largest absolute difference of neighbouring frames",
}
"""Of each number of an embedding: name -> meaning; in the embedding's own unit."""


def pooled(embeddings: Array, clips: int = 1) -> Array:
    """Summarise the embeddings of each video's frames over time.

    Args:
        embeddings: Float (videos, frames, width), or one of each clip (videos, clips, width).
        clips: Clips of a video, which follow each other: frames of two of them are no neighbours.

    Returns:
        float32 (videos, 4 * width), `STATISTICS` one after the other; differences of a single frame are NaN.
    """
    videos, frames, width = embeddings.shape
    found = [embeddings.mean(axis=1), embeddings.std(axis=1)]
    within = embeddings.reshape(videos, clips if frames > clips else 1, -1, width)
    change = np.abs(np.diff(within, axis=2)) if frames > 1 else np.full((videos, 1, 1, width), np.nan)
    change = change.reshape(videos, -1, width)
    return np.concatenate([*found, change.mean(axis=1), change.max(axis=1)], axis=1).astype(np.float32)


def columns_of(group: str, numbers: int) -> list[str]:
    """Name the columns of a group.

    >>> columns_of("embedding.small", 4)
    ['embedding.small.mean_0', 'embedding.small.sd_0', 'embedding.small.change_mean_0', 'embedding.small.change_max_0']
    """
    return [f"{group}.{name}_{i}" for name in STATISTICS for i in range(numbers // len(STATISTICS))]


def pool_shards(embedded: Sequence[PathLike], facts: PathLike, indices: Sequence[PathLike], output: PathLike) -> None:
    """Write the features that the embeddings of some shards give.

    Args:
        embedded: Array of each shard, float32 (videos, frames, width).
        facts: JSON that describes the encoder, for the record of fits.
        indices: Index of each decoded shard, with `id` and `row`.
        output: Table with `id` and `values`, float32; a row per usable video.
    """
    numbers = open_array(embedded[0]).shape[2] * len(STATISTICS)
    schema = pa.schema({"id": pa.string(), "values": pa.list_(pa.float32(), numbers)})
    described = read_json(facts)
    clips = described.get("clips", 1)
    rows = (row for array, index in zip(embedded, indices, strict=True) for row in _pooled_rows(array, index, clips))
    write_table(output, rows, schema.with_metadata({"encoder": json.dumps(described)}))


def _pooled_rows(embedded: PathLike, index: PathLike, clips: int) -> Iterator[dict[str, Any]]:
    array = open_array(embedded)
    for row in read_table(index, ("id", "row")).to_pylist():
        if row["row"] is not None:
            yield {"id": row["id"], "values": pooled(array[row["row"]][None], clips)[0]}


def read_pooled(paths: Sequence[PathLike], group: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the embeddings of all shards as features.

    Args:
        paths: Tables that `pool_shards` wrote.
        group: Name of the feature group.

    Returns:
        A row per video, by id, float32; and the description of the encoder.
    """
    table = read_table(paths)
    values = table.column("values").combine_chunks()
    numbers = values.type.list_size
    array = values.flatten().to_numpy(zero_copy_only=False).reshape(-1, numbers)
    described: Mapping[bytes, bytes] = table.schema.metadata
    ids = table.column("id").to_pylist()
    return pd.DataFrame(array, index=ids, columns=columns_of(group, numbers)), json.loads(described[b"encoder"])


def read_tables(
    data: Mapping[str, Sequence[PathLike]], wanted: Callable[[str], bool]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the features of all shards, those of embeddings too.

    Args:
        data: `features` -> tables of `clipfold.features.extract`; `embedding_NAME` -> those of an encoder.
        wanted: Says which columns of the former to read: of a million videos, all of them take gigabytes.

    Returns:
        A row per video, by id; and feature group -> description of the encoder whose embeddings it holds.
    """
    columns = [name for name in pq.read_schema(data["features"][0]).names if name == "id" or wanted(name)]
    table, encoders = read_table(data["features"], columns).to_pandas().set_index("id"), {}
    for kind in sorted(data.keys() - {"features"}):
        group = kind.replace("_", ".", 1)
        part, encoders[group] = read_pooled(data[kind], group)
        table = table.join(part)
    return table, encoders
