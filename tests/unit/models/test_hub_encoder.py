"""Video models of transformers from a folder: they embed as the library does, and nothing else of a folder is used."""

import json
import sys

import numpy as np
import pytest
import torch
import transformers

from clipfold.checks import MissingLibrary
from clipfold.features.embedding import pooled
from clipfold.models.clip_encoder import embedding_network
from clipfold.models.clip_networks import HUB_NETWORKS, modules_of
from clipfold.models.embed import describe_encoder, embed_shards
from clipfold.models.frozen import Frozen, write_frozen
from clipfold.models.inputs import as_input
from clipfold.models.named_encoders import gmac_of, plan_encoders
from clipfold.storage.files import read_json

SIZE, FRAMES = 32, 8
_VIT = {"hidden_size": 36, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8}
_SEEN = {"image_size": SIZE, "intermediate_size": 64, **_VIT}
_PREDICTOR = {"pred_hidden_size": 36, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}

# Source -> the library's classes (for pre-training, classifier, processor) and the config of a tiny model.
MADE = {
    "transformers/videomae": (
        transformers.VideoMAEForPreTraining,
        transformers.VideoMAEForVideoClassification,
        transformers.VideoMAEVideoProcessor,
        transformers.VideoMAEConfig(num_frames=FRAMES, **_SEEN),
    ),
    "transformers/timesformer": (
        transformers.TimesformerModel,
        transformers.TimesformerForVideoClassification,
        transformers.VideoMAEVideoProcessor,
        transformers.TimesformerConfig(num_frames=4, qkv_bias=False, **_SEEN),
    ),
    "transformers/vjepa2": (
        transformers.VJEPA2Model,
        transformers.VJEPA2ForVideoClassification,
        transformers.VJEPA2VideoProcessor,
        transformers.VJEPA2Config(crop_size=SIZE, frames_per_clip=16, num_pooler_layers=1, **_VIT, **_PREDICTOR),
    ),
}
NETWORKS = list(MADE)


@pytest.fixture(autouse=True, scope="module")
def quiet():
    transformers.utils.logging.disable_progress_bar()


def write_model(folder, source, kind=1, **colours):
    """Write a folder as the hub keeps it, by the library; returns settings of its encoder."""
    of_model, processor, config = MADE[source][kind], MADE[source][2], MADE[source][3]
    torch.manual_seed(1)
    of_model(config).save_pretrained(folder)
    colours = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}, **colours}
    processor(**colours).save_pretrained(folder)
    (folder / "README.md").write_text("---\ntags:\n- video\nlicense: cc-by-nc-4.0\n---\n# A model\nlicense: none\n")
    own = {"size": SIZE, "frames": FRAMES, "weights": str(folder), "download": False, "precision": "fp32"}
    return {"encoder": source, **own}


def draw_clips(number=2, frames=FRAMES, size=SIZE):
    return np.random.default_rng(0).integers(0, 256, (number, frames, size, size, 3), np.uint8)


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("kind", [0, 1], ids=["pre-trained", "classifier"])
@pytest.mark.parametrize("source", NETWORKS)
def test_it_embeds_as_the_library_does(source, kind, tmp_path):
    settings = write_model(tmp_path, source, kind, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.25, 0.3])
    clip = draw_clips(1)
    taken = clip[0][1::2] if source == "transformers/timesformer" else clip[0]  # four frames, evenly
    processor, theirs = MADE[source][2].from_pretrained(tmp_path), MADE[source][kind].from_pretrained(tmp_path).eval()
    frames = list(taken.transpose(0, 3, 1, 2))
    (pixels,) = processor(frames, return_tensors="pt", do_resize=False, do_center_crop=False).values()
    whole = getattr(theirs, theirs.base_model_prefix, theirs)
    made = embedding_network(settings)
    with torch.inference_mode():
        states = whole(pixels).last_hidden_state
        expected = states[:, 0] if source == "transformers/timesformer" else states.mean(dim=1)
        found = made.embed(as_input(made, torch.from_numpy(clip)))
        torch.testing.assert_close(found[:, 0], expected, rtol=1e-5, atol=1e-5)
        if source == "transformers/timesformer" and kind:
            torch.testing.assert_close(theirs.classifier(found[:, 0]), theirs(pixels).logits, rtol=1e-5, atol=1e-5)
        if source == "transformers/videomae" and kind:
            logits = theirs.classifier(theirs.fc_norm(found[:, 0]))
            torch.testing.assert_close(logits, theirs(pixels).logits, rtol=1e-5, atol=1e-5)
    assert found.shape == (1, 1, made.width)


@pytest.mark.parametrize("source", NETWORKS)
def test_a_bundle_embeds_as_the_job_does_without_the_folder(source, tmp_path):
    settings, clips = write_model(tmp_path / "hub", source) | {"size": 48}, draw_clips(3, size=48)
    np.save(tmp_path / "clips.npy", clips)
    embed_shards({tmp_path / "out.npy": [tmp_path / "clips.npy"]}, tmp_path / "facts.json", settings, 3, 1)
    facts = json.loads(json.dumps(write_frozen(read_json(tmp_path / "facts.json"), tmp_path / "bundle")))
    assert str(tmp_path) not in json.dumps(facts)
    assert facts["licence"] == "cc-by-nc-4.0"
    (tmp_path / "hub" / "config.json").unlink()
    frozen = Frozen(facts, tmp_path / "bundle")
    np.testing.assert_allclose(frozen.features(clips), pooled(np.load(tmp_path / "out.npy")), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="of 4 frames': use 8"):
        frozen.features(clips[:, :4])


def test_a_bundle_of_a_stranger_builds_no_other_model(tmp_path, monkeypatch):
    settings = write_model(tmp_path / "hub", "transformers/videomae")
    facts = write_frozen(describe_encoder(settings) | {"seed": 0, "download": False}, tmp_path / "bundle")
    model = facts["model"]
    for name, value in (
        ("num_hidden_layers", 10**9),
        ("hidden_size", "36"),
        ("layer_norm_eps", -5.0),
        ("num_attention_heads", 5),
        ("image_size", 16000),
        ("patch_size", 64),
        ("hidden_act", "evil"),
        ("_attn_implementation", "stranger/kernel"),
        ("num_channels", 1),
    ):
        forged = facts | {"model": model | {"config": model["config"] | {name: value}}}
        with pytest.raises(ValueError, match="config"):
            Frozen(forged, tmp_path / "bundle")
    for forged in ({"model": None}, {"model": model | {"std": [0, 1, 1]}}, {"model": model | {"mean": "abc"}}):
        with pytest.raises(ValueError, match=r"encoder: (config|std|mean)"):
            Frozen(facts | forged, tmp_path / "bundle")
    with pytest.raises(ValueError, match="has another shape"):
        Frozen(facts | {"model": model | {"config": model["config"] | {"intermediate_size": 99}}}, tmp_path / "bundle")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingLibrary, match=r"pip install 'clipfold\[transformers\]'"):
        Frozen(facts, tmp_path / "bundle")


def test_its_own_number_of_frames_is_taken_evenly(tmp_path):
    rotary = write_model(tmp_path / "a", "transformers/vjepa2")
    assert embedding_network(rotary | {"frames": 40}).encoder._taken[:3] == [1, 3, 6]  # 16 of 40
    assert embedding_network(rotary | {"frames": 7}).encoder._taken == [0, 1, 2, 4, 5, 6]  # pairs, fewer than its own
    fixed = write_model(tmp_path / "b", "transformers/videomae")
    with pytest.raises(
        ValueError, match=r"frames is 7: transformers/videomae takes 8: set decode.views.clips.frames: 8"
    ):
        embedding_network(fixed | {"frames": 7})


def test_any_change_of_the_folder_is_another_encoder(tmp_path):
    settings = write_model(tmp_path, "transformers/videomae")
    found = [describe_encoder(settings)]
    change(tmp_path / "video_preprocessor_config.json", image_mean=[0.1, 0.2, 0.3])
    found.append(describe_encoder(settings))
    change(tmp_path / "config.json", layer_norm_eps=1e-3)
    found.append(describe_encoder(settings))
    assert len({each["sha256"] for each in found}) == 3
    assert found[1]["model"]["mean"] == [0.1, 0.2, 0.3]
    change(tmp_path / "video_preprocessor_config.json", do_normalize=False)
    assert describe_encoder(settings)["model"]["std"] == [1.0, 1.0, 1.0]


def test_a_folder_that_will_not_do_says_why(tmp_path):
    settings = write_model(tmp_path, "transformers/timesformer")
    with pytest.raises(ValueError, match="model_type is 'timesformer': use vjepa2"):
        embedding_network(settings | {"encoder": "transformers/vjepa2"})
    change(tmp_path / "video_preprocessor_config.json", rescale_factor=1.0)
    with pytest.raises(ValueError, match=r"rescale_factor is 1.0"):
        embedding_network(settings)
    (tmp_path / "video_preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"it has no video_preprocessor_config.json or preprocessor_config.json"):
        embedding_network(settings)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"it has no model.safetensors: pickle is not read: .*save_pretrained"):
        embedding_network(settings)
    (tmp_path / "config.json").write_text("[" * 100_000)
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "model.safetensors")
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"config.json cannot be read"):
        embedding_network(settings)


def test_code_that_a_folder_brings_is_not_run(tmp_path):
    settings = write_model(tmp_path, "transformers/videomae")
    expected = embedding_network(settings).encoder.state_dict()
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    change(tmp_path / "config.json", auto_map={"AutoModel": "evil.Evil"}, attn_implementation="stranger/kernel")
    found = embedding_network(settings).encoder.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("source", NETWORKS)
def test_the_plan_knows_them(source):
    (own,) = plan_encoders({"a": {"source": source, "weights": "folder"}}, 224, 16).values()
    assert own["frames"] == 16
    assert gmac_of(own, 16) == HUB_NETWORKS[source]
    assert modules_of(own) == ["clipfold.models.hub_encoder"]
    with pytest.raises(ValueError, match="encoders: a: weights is 'pretrained': name the folder"):
        plan_encoders({"a": source}, 224, 16)
    with pytest.raises(ValueError, match="images do not move"):
        plan_encoders({"a": {"source": source, "weights": "folder"}}, 224, 1)
    with pytest.raises(ValueError, match="source"):
        plan_encoders({"a": "transformers/bert"}, 224, 16)
