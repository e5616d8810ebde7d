"""Networks on whole clips as encoders: what they embed is what their own last layer would see."""

from importlib import import_module

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.video import r3d_18

from clipfold.features.embedding import columns_of, pooled
from clipfold.models.architecture import Architecture
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.clip_encoder import embedding_network
from clipfold.models.clip_networks import CLIP_GMAC, CLIP_NETWORKS, modules_of
from clipfold.models.embed import embed_shards
from clipfold.models.frozen import Frozen, write_frozen
from clipfold.models.inputs import as_input
from clipfold.storage.files import read_json

SIZE, FRAMES = 32, 8


def settings_of(name, weights=""):
    return {"encoder": name, "size": SIZE, "frames": FRAMES, "weights": weights, "download": False}


def draw_clips(number=2):
    return np.random.default_rng(0).integers(0, 256, (number, FRAMES, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize("name", CLIP_NETWORKS)
def test_the_last_layer_on_an_embedding_gives_the_logits_of_the_network(name):
    torch.manual_seed(5)
    made = embedding_network(settings_of(name))
    architecture, variant = CLIP_NETWORKS[name]
    known = ARCHITECTURES[architecture]
    own = {**known.settings, **settings_of(name)} | ({"variant": variant} if variant else {})
    torch.manual_seed(5)
    whole = import_module(known.module).build(own, 2).eval()
    clips = as_input(made, torch.from_numpy(draw_clips(1)))
    with torch.inference_mode():
        found = made.embed(clips)
        torch.testing.assert_close(whole.head(found[:, 0]), whole(clips))
    assert found.shape == (1, 1, made.width)


def test_published_weights_embed_as_the_library_does(tmp_path):
    torch.manual_seed(1)
    theirs = r3d_18().eval()
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    theirs.fc = torch.nn.Identity()
    made = embedding_network(settings_of("r3d_18", str(tmp_path / "w.safetensors")))
    clips = as_input(made, torch.from_numpy(draw_clips(1)))
    with torch.inference_mode():
        torch.testing.assert_close(made.embed(clips)[:, 0], theirs(clips), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["x3d_xs", "mvit_v2_s"])
def test_a_bundle_embeds_as_the_job_does(name, tmp_path):
    clips = draw_clips(3)
    np.save(tmp_path / "clips.npy", clips)
    embed_shards({tmp_path / "out.npy": [tmp_path / "clips.npy"]}, tmp_path / "facts.json", settings_of(name), 3, 1)
    facts = write_frozen(read_json(tmp_path / "facts.json"), tmp_path / "bundle")
    frozen = Frozen(facts, tmp_path / "bundle")
    found = frozen.features(clips)
    assert len(columns_of("embedding.own", found.shape[1])) == found.shape[1]
    np.testing.assert_allclose(found, pooled(np.load(tmp_path / "out.npy")), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="of 4 frames': use 8"):
        frozen.features(clips[:, :4])
    for frames in (0, "8"):
        with pytest.raises(ValueError, match="encoder: frames"):
            Frozen(facts | {"frames": frames}, tmp_path / "bundle")


@pytest.mark.parametrize("name", CLIP_NETWORKS)
def test_the_forecast_knows_their_cost_and_the_fingerprint_their_code(name):
    architecture, variant = CLIP_NETWORKS[name]
    known: Architecture = ARCHITECTURES[architecture]
    assert modules_of({"encoder": name}) == [known.module]
    assert CLIP_GMAC[name] == (known.gmac if isinstance(known.gmac, float) else known.gmac[variant])


def test_of_several_clips_each_has_the_embedding_that_it_has_alone(tmp_path):
    one, several = settings_of("x3d_xs"), settings_of("x3d_xs") | {"clips": 3}
    clips = np.random.default_rng(0).integers(0, 256, (2, 3 * FRAMES, SIZE, SIZE, 3), np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    embed_shards({tmp_path / "three.npy": [tmp_path / "clips.npy"]}, tmp_path / "facts.json", several, 5, 1)
    found = np.load(tmp_path / "three.npy")
    torch.manual_seed(5)
    alone = embedding_network(one)
    with torch.inference_mode():
        for clip, part in enumerate(np.split(clips, 3, axis=1)):
            expected = alone.embed(as_input(alone, torch.from_numpy(np.ascontiguousarray(part))))[:, 0]
            np.testing.assert_allclose(found[:, clip], expected, rtol=1e-4, atol=1e-5)
    facts = read_json(tmp_path / "facts.json")
    assert facts["clips"] == 3
    frozen = Frozen(write_frozen(facts, tmp_path), tmp_path)
    np.testing.assert_allclose(frozen.features(clips), pooled(found, 3), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=f"use {3 * FRAMES}, as the encoder has learned from"):
        frozen.features(clips[:, :FRAMES])
