"""Embeddings as features: what is kept of the frames, and how the table is read."""

import json

import numpy as np
import pyarrow as pa

from clipfold.features.embedding import columns_of, pool_shards, pooled, read_tables
from clipfold.storage.files import write_table


def test_the_statistics_of_two_numbers_over_three_frames():
    found = pooled(np.array([[[0.0, 2.0], [3.0, 2.0], [9.0, 2.0]]], np.float32))
    assert columns_of("embedding.e", 8)[2] == "embedding.e.sd_0"
    np.testing.assert_allclose(found, [[4, 2, np.std([0, 3, 9]), 0, 4.5, 0, 6, 0]], rtol=1e-6)


def test_reversed_frames_have_the_same_features_and_shuffled_ones_change_less_or_more():
    frames = np.random.default_rng(0).normal(size=(1, 6, 5)).astype(np.float32).cumsum(axis=1)
    np.testing.assert_allclose(pooled(frames[:, ::-1]), pooled(frames), rtol=1e-5)
    assert not np.allclose(pooled(frames[:, [0, 3, 1, 5, 2, 4]])[:, 10:], pooled(frames)[:, 10:])


def test_one_frame_has_no_changes():
    found = pooled(np.ones((2, 1, 3), np.float32))
    np.testing.assert_array_equal(np.isnan(found), [[False] * 6 + [True] * 6] * 2)


def test_tables_of_all_shards_are_joined_with_the_handcrafted_features_by_id(tmp_path):
    """Rows of an index are in another order than those of the features, and a quarantined video has none."""
    embeddings = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    data = {"features": [], "embedding_small": []}
    for shard, ids in enumerate([["b", "x", "a"], ["c", "d"]]):
        rows = [{"id": name, "row": None if name == "x" else "abcd".index(name) % 2} for name in ids]
        write_table(tmp_path / f"index{shard}.parquet", rows, _schema(row="int64"))
        np.save(tmp_path / f"{shard}.npy", embeddings + shard)
        (tmp_path / "facts.json").write_text(json.dumps({"encoder": "resnet18"}))
        pooled_path, own = tmp_path / f"pooled{shard}.parquet", tmp_path / f"features{shard}.parquet"
        pool_shards(
            [tmp_path / f"{shard}.npy"], tmp_path / "facts.json", [tmp_path / f"index{shard}.parquet"], pooled_path
        )
        numbers = [
            {"id": name, "motion.speed": float(ord(name)), "noise.sd": 0.0} for name in sorted(ids) if name != "x"
        ]
        write_table(own, numbers, _schema(**{"motion.speed": "float64", "noise.sd": "float64"}))
        data["features"].append(own)
        data["embedding_small"].append(pooled_path)
    table, encoders = read_tables(data, lambda name: name.startswith("motion."))
    assert encoders == {"embedding.small": {"encoder": "resnet18"}}
    assert table.loc["c", "motion.speed"] == ord("c")
    assert list(table.columns) == ["motion.speed", *columns_of("embedding.small", 12)]
    expected = [pooled(embeddings + "abcd".index(name) // 2)["abcd".index(name) % 2] for name in table.index]
    np.testing.assert_array_equal(table.iloc[:, 1:].to_numpy(), expected)


def _schema(**columns):
    return pa.schema([("id", pa.string()), *((name, getattr(pa, kind)()) for name, kind in columns.items())])


def test_frames_of_two_clips_are_no_neighbours():
    embeddings = np.array([0.0, 1.0, 3.0, 100.0, 101.0, 105.0], np.float32).reshape(1, 6, 1)
    assert pooled(embeddings, 2)[0, 2:].tolist() == [2.0, 4.0]
    assert pooled(embeddings, 6).tolist() == pooled(embeddings).tolist()  # one embedding a clip: clips are the steps


def test_one_clip_is_pooled_to_the_same_bits():
    embeddings = np.random.default_rng(0).normal(size=(3, 7, 5)).astype(np.float32)
    change = np.abs(np.diff(embeddings, axis=1))
    expected = [embeddings.mean(1), embeddings.std(1), change.mean(1), change.max(1)]
    assert np.array_equal(pooled(embeddings), np.concatenate(expected, axis=1))
