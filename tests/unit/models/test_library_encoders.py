"""Encoders of libraries embed as the library itself does, from weights in a file; nothing is downloaded."""

import numpy as np
import pytest
import torch
import torchvision.models as images
from safetensors.torch import save_file
from torch import nn

from clipfold.features.embedding import pooled
from clipfold.models.embed import describe_encoder, embed_shards
from clipfold.models.encoders import encoder
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.frozen import Frozen, write_frozen
from clipfold.models.inputs import as_input
from clipfold.storage.files import read_json


def lively(network):
    """Weights and statistics that no other network has by chance."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return network.eval()


def clip(size):
    return torch.randint(0, 256, (1, 2, size, size, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def embedded(name, path, clips):
    network = FrameNetwork(encoder(name, clips.shape[2], str(path), False), nn.Identity()).eval()
    with torch.inference_mode():
        return network.embed(as_input(network, clips))[0]


def test_torchvision(tmp_path):
    torch.manual_seed(1)
    theirs = lively(images.shufflenet_v2_x0_5())
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    theirs.fc = nn.Identity()
    clips = clip(224)
    frames = clips[0].permute(0, 3, 1, 2)
    seen = images.ShuffleNet_V2_X0_5_Weights.DEFAULT.transforms(resize_size=224)
    with torch.inference_mode():
        expected = theirs(seen(frames))
    found = embedded("torchvision/shufflenet_v2_x0_5", tmp_path / "weights.safetensors", clips)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_timm(tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(1)
    theirs = lively(timm.create_model("mobilenetv3_small_050"))
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    theirs.reset_classifier(0)
    data = timm.data.resolve_model_data_config(theirs)
    clips = clip(224)
    colours = torch.tensor([data["mean"], data["std"]])[:, :, None, None]
    with torch.inference_mode():
        expected = theirs((clips[0].permute(0, 3, 1, 2) / 255 - colours[0]) / colours[1])
    found = embedded("timm/mobilenetv3_small_050", tmp_path / "weights.safetensors", clips)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_small_frames_are_resized_to_the_networks_own_size():
    torch.manual_seed(1)
    made = encoder("torchvision/shufflenet_v2_x0_5", 64, "", False).eval()
    frames = torch.randn(1, 3, 64, 64)
    large = nn.functional.interpolate(frames, (224, 224), mode="bicubic", antialias=True)
    with torch.inference_mode():
        torch.testing.assert_close(made(frames), made(large))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision/nothing", "torchvision/nothing"),
        ("torchvision/r3d_18", "torchvision/r3d_18"),
        ("torchvision/squeezenet1_0", "its last layer is not linear"),
        ("timm/hf-hub:a/b", "use timm/NAME or torchvision/NAME"),
    ],
)
def test_what_is_no_encoder_of_a_library(name, message):
    with pytest.raises(ValueError, match=message):
        encoder(name, 224, "", False)


def test_published_weights_that_are_not_there_are_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="set download: true"):
        encoder("torchvision/shufflenet_v2_x0_5", 224, "pretrained", False)


def test_the_embed_job_describes_the_encoder(tmp_path):
    settings = {"encoder": "vit_micro", "size": 32, "weights": "", "download": False}
    np.save(tmp_path / "clips.npy", np.zeros((1, 2, 32, 32, 3), np.uint8))
    embed_shards({tmp_path / "out.npy": [tmp_path / "clips.npy"]}, tmp_path / "facts.json", settings, 3, 1)
    assert np.load(tmp_path / "out.npy").shape == (1, 2, 192)
    assert read_json(tmp_path / "facts.json") == describe_encoder(settings) | {"download": False, "seed": 3}


@pytest.mark.parametrize("weights", ["", "own.safetensors"])
def test_a_bundle_embeds_as_the_job_does(weights, tmp_path):
    """Larger clips are resized; random weights are those of the run's seed, of which a bundle knows nothing."""
    if weights:
        save_file(encoder("vit_micro", 224, "", False).network.state_dict(), tmp_path / weights)
        weights = str(tmp_path / weights)
    clips = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32, 3), np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    settings = {"encoder": "vit_micro", "size": 32, "weights": weights, "download": False}
    embed_shards({tmp_path / "out.npy": [tmp_path / "clips.npy"]}, tmp_path / "facts.json", settings, 3, 1)
    facts = write_frozen(read_json(tmp_path / "facts.json"), tmp_path / "bundle")
    assert str(tmp_path) not in str(facts)
    large = np.repeat(np.repeat(clips, 2, axis=2), 2, axis=3)
    for given in (clips, large):
        found = Frozen(facts, tmp_path / "bundle").features(given)
        np.testing.assert_allclose(found, pooled(np.load(tmp_path / "out.npy")), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"file": "../own.safetensors"}, {"size": "32"}, {"encoder": "timm/hf-hub:a/b"}, {"encoder": "vit_tiny"}]
)
def test_a_strangers_encoder_is_refused(change, tmp_path):
    settings = {"encoder": "vit_micro", "size": 32, "weights": "", "download": False, "sha256": None, "seed": 3}
    facts = write_frozen(settings, tmp_path)
    with pytest.raises(ValueError, match=r"encoder|weights"):
        Frozen(facts | change, tmp_path)
