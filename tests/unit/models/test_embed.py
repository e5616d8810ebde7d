"""A job of an encoder embeds several shards, and each of them once."""

import logging

import numpy as np
import pytest
import torch

from clipfold.features.embedding import pooled
from clipfold.models import embed
from clipfold.models.embed import embed_shards
from clipfold.models.frozen import Frozen, write_frozen
from clipfold.storage.files import read_json

SETTINGS = {"encoder": "vit_micro", "size": 16, "weights": "", "download": False}


@pytest.fixture
def shards(tmp_path):
    """Three shards of three clips: array to write -> files to read."""
    random = np.random.default_rng(0)
    for name in "abc":
        np.save(tmp_path / f"{name}_clips.npy", random.integers(0, 256, (3, 2, 16, 16, 3), np.uint8))
    return {tmp_path / f"{name}.npy": [tmp_path / f"{name}_clips.npy"] for name in "abc"}


def run(shards, precision="fp32", **more):
    settings = SETTINGS | {"precision": precision}
    embed_shards(shards, next(iter(shards)).with_name("facts.json"), settings, 3, 1, **more)
    return {path.stem: (path.stat().st_mtime_ns, np.load(path)) for path in shards}


def test_shards_embed_together_as_each_does_alone(shards, tmp_path):
    together = run(shards)
    for array, files in shards.items():
        alone = tmp_path / "alone" / array.name
        embed_shards({alone: files}, tmp_path / "facts.json", SETTINGS, 3, 1)
        np.testing.assert_array_equal(np.load(alone), together[array.stem][1])


def test_a_job_that_runs_again_embeds_what_changed(shards, monkeypatch):
    first = run(shards)
    (changed,) = [files[0] for array, files in shards.items() if array.stem == "b"]
    np.save(changed, np.load(changed)[:2])
    second = run(shards)
    assert {name for name in "abc" if first[name][0] != second[name][0]} == {"b"}
    np.testing.assert_allclose(second["b"][1], first["b"][1][:2], atol=1e-5)  # another batch rounds otherwise
    monkeypatch.setattr(embed, "embedding_network", None)  # nothing is missing: no encoder is built
    run(shards)
    with pytest.raises(TypeError):
        run(shards, code="other")


def test_a_job_that_is_killed_loses_the_shard_that_it_was_at(shards, monkeypatch, caplog):
    expected = run(shards, code="undisturbed")
    read, calls = embed._read, []

    def killed(*given):
        calls.append(given)
        if (
            len(calls) == 3
        ):  # of the second shard; one of three clips is read in two steps, the second of which is empty
            raise KeyboardInterrupt
        return read(*given)

    monkeypatch.setattr(embed, "_read", killed)
    with pytest.raises(KeyboardInterrupt):
        run(shards)
    monkeypatch.setattr(embed, "_read", read)
    caplog.set_level(logging.INFO)
    found = run(shards)
    assert "1 of 3 shards are embedded" in caplog.text
    for name in "abc":
        np.testing.assert_array_equal(found[name][1], expected[name][1])


def test_memory_that_runs_out_halves_the_batch(shards, monkeypatch):
    expected = run(shards)
    forward, sizes = embed._Embedder._forward, []

    def limited(self, clips):
        sizes.append(len(clips))
        if len(clips) > 1:
            raise MemoryError
        return forward(self, clips)

    monkeypatch.setattr(embed._Embedder, "_forward", limited)
    found = run(shards, code="again", batch=2)
    assert sizes == [2] + [1] * 9  # it stays halved
    for name in "abc":
        np.testing.assert_allclose(found[name][1], expected[name][1], atol=1e-5)


def test_half_precision_makes_other_embeddings_close_to_those_of_single_precision(shards):
    single = run(shards)
    half = run(shards, precision="bf16")
    for name in "abc":
        (written, expected), (rewritten, found) = single[name], half[name]
        assert written != rewritten
        assert found.dtype == np.float32
        assert not np.array_equal(found, expected)
        assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()  # bf16 has eight bits
    again = run(shards, precision="fp32")
    for name in "abc":
        np.testing.assert_array_equal(again[name][1], single[name][1])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_bundle_embeds_in_the_precision_of_the_job(shards, tmp_path, precision):
    run(shards, precision=precision)
    facts = write_frozen(read_json(tmp_path / "facts.json"), tmp_path / "bundle")
    assert facts["precision"] == precision
    (array, (clips,)) = next(iter(shards.items()))
    found = Frozen(facts, tmp_path / "bundle").features(np.load(clips))
    np.testing.assert_array_equal(found, pooled(np.load(array)))
    with pytest.raises(ValueError, match="precision is 'int8'"):
        Frozen(facts | {"precision": "int8"}, tmp_path / "bundle")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_gpu_embeds_in_half_precision(shards, precision):
    single = run(shards)
    half = run(shards, precision=precision)
    for name in "abc":
        expected, found = single[name][1], half[name][1]
        assert not np.array_equal(found, expected)
        assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
