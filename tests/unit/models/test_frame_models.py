"""Encoders, networks of an encoder and a temporal part, and torchvision's networks for video."""

import re
from math import prod

import pytest
import torch
import torchvision.models as images
from torch import nn
from torchvision.models import video

from clipfold.models.architectures import cnn_lstm, mvit_v2_s, r3d_18, swin3d_t, vit_gru, vit_transformer
from clipfold.models.encoders import ENCODERS, encoder

SETTINGS = {"frames": 4, "size": 32, "weights": "", "download": False, "dropout": 0.0}
FRAMES = {
    vit_gru: {"encoder": "vit_micro", "hidden": 16, "layers": 2, "state": "last"},
    vit_transformer: {"encoder": "vit_micro", "depth": 2, "heads": 3},
    cnn_lstm: {"encoder": "mobilenet_v3_small", "hidden": 16, "layers": 2},
}
VIDEO = {
    r3d_18: (video.r3d_18, "fc.", video.R3D_18_Weights.DEFAULT),
    mvit_v2_s: (video.mvit_v2_s, "head.", video.MViT_V2_S_Weights.DEFAULT),
    swin3d_t: (video.swin3d_t, "head.", video.Swin3D_T_Weights.DEFAULT),
}
VITS = ["vit_micro", "vit_tiny", "vit_small", "vit_b_16"]


def count(*parts):
    return sum(p.numel() for part in parts for p in part.parameters())


def named(modules):
    return pytest.mark.parametrize("module", modules, ids=lambda module: module.__name__.split(".")[-1])


def clips(batch=2, frames=4, size=32):
    return torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(1))


@named(FRAMES)
def test_the_network_is_the_encoder_and_then_the_temporal_part(module):
    settings = SETTINGS | FRAMES[module]
    network = module.build(settings, 3).eval()
    batch = clips()
    with torch.inference_mode():
        embeddings = torch.stack([network.backbone()(clip.transpose(0, 1)) for clip in batch])
        temporal = module.temporal(settings, network.backbone().width, 3).eval()
        temporal.load_state_dict(network.temporal.state_dict())
        torch.testing.assert_close(network.embed(batch), embeddings, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(temporal(network.embed(batch)), network(batch), rtol=1e-5, atol=1e-6)
    assert set(network.parameters()) == {*network.backbone().parameters(), *network.temporal.parameters()}


@named(FRAMES)
def test_the_temporal_part_sees_the_order_of_the_frames(module):
    network = module.build(SETTINGS | FRAMES[module], 3)
    with torch.inference_mode():
        assert not torch.allclose(network(clips()), network(clips().flip(2)))


def test_the_state_is_that_of_the_last_frame_or_the_mean():
    settings = SETTINGS | FRAMES[vit_gru]
    last, mean = (vit_gru.temporal(settings | {"state": state}, 8, 3) for state in ("last", "mean"))
    mean.load_state_dict(last.state_dict())
    embeddings = torch.randn(2, 4, 8)
    states, _ = last.gru(embeddings)
    torch.testing.assert_close(last(embeddings), last.head(states[:, 3]))
    torch.testing.assert_close(mean(embeddings), last.head(states.mean(1)))


def test_attention_has_to_fit_the_width():
    with pytest.raises(ValueError, match="heads is 5: use a divisor of the encoder's width, 192"):
        vit_transformer.build(SETTINGS | FRAMES[vit_transformer] | {"heads": 5}, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "head", "published"),
    [
        ("vit_tiny", 224, [(192, 1000)], 5_717_416),  # DeiT-Ti and DeiT-S, Touvron et al. 2021: 5.7 and 22.1 million
        ("vit_small", 224, [(384, 1000)], 22_050_664),
        ("vit_b_16", 224, [(768, 1000)], images.ViT_B_16_Weights.DEFAULT.meta["num_params"]),
        ("vgg19", 32, [(25088, 4096), (4096, 4096), (4096, 1000)], images.VGG19_Weights.DEFAULT.meta["num_params"]),
        ("resnet18", 32, [(512, 1000)], images.ResNet18_Weights.DEFAULT.meta["num_params"]),
        (
            "mobilenet_v3_small",
            32,
            [(576, 1024), (1024, 1000)],
            images.MobileNet_V3_Small_Weights.DEFAULT.meta["num_params"],
        ),
        (
            "mobilenet_v3_large",
            32,
            [(960, 1280), (1280, 1000)],
            images.MobileNet_V3_Large_Weights.DEFAULT.meta["num_params"],
        ),
    ],
)
def test_encoders_have_the_published_parameters_but_for_the_classifier(name, size, head, published):
    made = encoder(name, size, "", False)
    assert count(made) + sum(prod(shape) + shape[1] for shape in head) == published
    assert made.eval()(torch.zeros(2, 3, size, size)).shape == (2, made.width)


@pytest.mark.slow
@named(VIDEO)
def test_video_networks_have_the_published_parameters_and_colours(module):
    published = VIDEO[module][2]
    network = module.build(SETTINGS | {"frames": 16, "size": 224}, 400)
    assert count(network) == published.meta["num_params"]
    assert network.mean == tuple(published.transforms().mean)
    assert network.std == tuple(published.transforms().std)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "make", "last"),
    [
        ("vit_micro", lambda: vit(32), "heads"),
        ("vgg19", images.vgg19, "classifier"),
        ("resnet18", images.resnet18, "fc"),
        ("mobilenet_v3_small", images.mobilenet_v3_small, "classifier"),
        ("mobilenet_v3_large", images.mobilenet_v3_large, "classifier"),
    ],
)
def test_encoders_load_torchvision_weights_and_embed_as_torchvision_does(name, make, last, tmp_path, monkeypatch):
    monkeypatch.setattr("clipfold.models.encoders._PUBLISHED_SIZE", 32)
    torch.manual_seed(1)
    theirs = make().eval()
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith(f"{last}.")}
    torch.save(state, tmp_path / "weights.pth")
    setattr(theirs, last, nn.Identity())
    theirs.avgpool = nn.AdaptiveAvgPool2d(1)  # VGG's is 7 x 7, for the linear layers that follow
    ours = encoder(name, 32, str(tmp_path / "weights.pth"), False).eval()
    frames = clips()[:, :, 0]
    with torch.inference_mode():
        torch.testing.assert_close(ours(frames), theirs(frames))


def vit(size):
    return images.VisionTransformer(
        image_size=size, patch_size=16, num_layers=4, num_heads=3, hidden_dim=192, mlp_dim=768
    )


TO_DEIT = [
    (r"^class_token$", "cls_token"),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.layers\.encoder_layer_", "blocks."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
]
TO_OLD = [(r"\.mlp\.0\.", ".mlp.linear_1."), (r"\.mlp\.3\.", ".mlp.linear_2.")]


@pytest.mark.parametrize("names", [TO_DEIT, TO_OLD], ids=["deit", "old torchvision"])
def test_vits_load_files_of_other_names_with_positions_interpolated_to_the_size(names, tmp_path):
    theirs = vit(224)
    state = theirs.state_dict()
    for pattern, name in names:
        state = {re.sub(pattern, name, key): value for key, value in state.items()}
    assert set(state) != set(theirs.state_dict())
    torch.save({"model": state}, tmp_path / "weights.pth")
    ours = encoder("vit_micro", 112, str(tmp_path / "weights.pth"), False)
    own = ours.network.state_dict()
    positions = own.pop("encoder.pos_embedding")
    assert positions.shape == (1, 1 + 7 * 7, 192)
    torch.testing.assert_close(positions[:, 0], theirs.encoder.pos_embedding[:, 0])
    corners = theirs.encoder.pos_embedding[:, 1:].unflatten(1, (14, 14))[:, ::13, ::13]
    torch.testing.assert_close(positions[:, 1:].unflatten(1, (7, 7))[:, ::6, ::6], corners)
    for key, value in own.items():
        assert torch.equal(value, theirs.state_dict()[key])


@pytest.mark.slow
@named(VIDEO)
def test_video_networks_load_torchvision_weights_and_give_what_torchvision_gives(module, tmp_path):
    make, last, _ = VIDEO[module]
    torch.manual_seed(1)
    theirs = make().eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = module.build(SETTINGS | {"weights": str(tmp_path / "weights.pth")}, 3).eval()
    setattr(theirs, last.rstrip("."), nn.Identity())
    if module is mvit_v2_s:  # torchvision's constructor fixes the size; given it, each forward interpolates the tables
        theirs.pos_encoding.temporal_size, theirs.pos_encoding.spatial_size = 2, (8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(ours.backbone()(clips()), theirs(clips()))


@pytest.mark.slow
@pytest.mark.parametrize(("frames", "size"), [(16, 112), (5, 50), (1, 16), (16, 224)])
def test_no_forward_of_mvit_has_to_interpolate(frames, size, monkeypatch):
    network = mvit_v2_s.build(SETTINGS | {"frames": frames, "size": size}, 2).eval()

    def unwanted(*args, **kwargs):
        raise AssertionError("interpolated")

    monkeypatch.setattr(nn.functional, "interpolate", unwanted)
    with torch.inference_mode():
        assert network(clips(1, frames, size)).shape == (1, 1)


@pytest.mark.parametrize("name", VITS)
def test_a_vit_takes_sizes_that_its_patches_fill(name):
    with pytest.raises(ValueError, match="size is 50: use a multiple of 16"):
        encoder(name, 50, "", False)


def test_vgg_takes_sizes_that_leave_a_pixel():
    with pytest.raises(ValueError, match="size is 31: use 32 or more"):
        encoder("vgg19", 31, "", False)


def test_every_encoder_but_the_smallest_has_published_weights_and_all_colours_of_imagenet():
    assert [name for name, (url, _) in ENCODERS.items() if not (url or "").startswith("https://")] == ["vit_micro"]
    published = images.ResNet18_Weights.DEFAULT.transforms()
    made = encoder("vit_micro", 32, "", False)
    assert (made.mean, made.std) == (tuple(published.mean), tuple(published.std))


def test_statistics_of_mobilenet_arrive_in_a_short_training():
    made = encoder("mobilenet_v3_small", 32, "", False)
    assert {module.momentum for module in made.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}
