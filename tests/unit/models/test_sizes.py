"""Test that networks take clips of any size, or say before the first job which sizes they take."""

import pytest
import torch
from helpers.networks import NETWORKS, build

from clipfold.models.architectures.vit_transformer import temporal
from clipfold.models.encoder_sizes import WIDTHS, check_size
from clipfold.models.encoders import ENCODERS, encoder
from clipfold.models.entries import plan_models
from clipfold.models.named_encoders import plan_encoders

BY_PATCHES = {"vit_gru": {"encoder": "resnet18"}, "vit_transformer": {"encoder": "resnet18"}}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [16, 49])
def test_every_network_trains_at_an_odd_and_at_the_smallest_size(name, size):
    given = BY_PATCHES.get(name, {}) if size % 16 else {}
    network = build(name, size=size, **given)
    boxes = [torch.tensor([[0, 0, size, size]] * 2)] if name == "variable_ar_cnn" else []
    loss = network(torch.zeros(2, 3, 4, size, size), *boxes).sum()
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("name", BY_PATCHES)
def test_a_size_that_patches_do_not_fill_is_a_mistake_in_the_config(name):
    remedy = "use a multiple of 16, the patches of vit_micro, such as 96 or 112"
    with pytest.raises(ValueError, match=f"models: {name}: size is 97: {remedy}"):
        plan_models([{"architecture": name, "size": 97}], largest_size=112, most_frames=16)


@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        ({"source": "vit_tiny", "size": 97}, "use a multiple of 16, the patches of vit_tiny, such as 96 or 112"),
        ("vit_b_16", "use a multiple of 16, the patches of vit_b_16, such as 96 or 112"),
        ({"source": "vgg19", "size": 17}, "use 32 or more: vgg19 halves it 5 times"),
    ],
)
def test_so_is_one_of_a_named_encoder_also_where_it_is_that_of_the_clips(entry, remedy):
    with pytest.raises(ValueError, match=rf"encoders: mine: size is \d+: {remedy}"):
        plan_encoders({"mine": entry}, largest_size=97, frames=16)


@pytest.mark.parametrize("name", sorted({*ENCODERS} - {"vit_b_16"}))
@pytest.mark.parametrize("size", [16, 33])
def test_an_encoder_embeds_each_size_that_it_accepts(name, size):
    try:
        check_size("size", name, size)
    except ValueError:
        with pytest.raises(ValueError, match="size is"):
            encoder(name, size, "", False)
        return
    with torch.inference_mode():
        assert torch.isfinite(encoder(name, size, "", False).eval()(torch.zeros(1, 3, size, size))).all()


def test_heads_that_do_not_divide_the_width_are_a_mistake_in_the_config():
    entry = {"architecture": "vit_transformer", "encoder": "resnet18", "heads": 3}
    remedy = "use a divisor of the encoder's width, 512, such as 1, 2, 4"
    with pytest.raises(ValueError, match=f"models: vit_transformer: heads is 3: {remedy}"):
        plan_models([entry], largest_size=112, most_frames=16)
    plan_models([entry | {"heads": 4}], largest_size=112, most_frames=16)


@pytest.mark.parametrize(("name", "heads"), [("vit_micro", 3), ("resnet18", 8), ("mobilenet_v3_small", 9)])
def test_by_default_heads_fit_any_encoder(name, heads):
    entry = {"architecture": "vit_transformer", "encoder": name, "size": 32}
    (model,) = plan_models([entry], largest_size=112, most_frames=16)
    network = build("vit_transformer", **model.settings)
    assert {layer.self_attn.num_heads for layer in network.temporal.layers} == {heads}
    assert temporal(model.settings, 100, 2).layers[0].self_attn.num_heads == 1  # no head of 64 values divides 100


def test_the_widths_of_encoders_are_known_before_they_are_built():
    assert {name: encoder(name, 32, "", False).width for name in ENCODERS} == WIDTHS


@pytest.mark.parametrize("source", ["timm/resnet18", "torchvision/resnet18", "x3d_s", "resnet18", "mobilenet_v3_small"])
def test_others_take_any_size(source):
    assert plan_encoders({"mine": {"source": source, "size": 97}}, largest_size=97, frames=16)["mine"]["size"] == 97
