"""A frozen encoder of which a part learns: that part alone, from where the encoder was, and the same bits elsewhere."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clipfold.models.architectures import vit_gru
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.clip_model import ClipModel
from clipfold.models.device import place
from clipfold.models.entries import plan_models
from clipfold.models.fine_tuning import unfrozen_parts
from clipfold.models.library_encoders import library_encoder
from clipfold.models.network import set_frozen
from clipfold.models.onnx_model import OnnxModel
from clipfold.models.to_onnx import to_onnx

SIZE = 32


def settings_of(encoder, **changes):
    own = {"size": SIZE, "frames": 2, "weights": "", "download": False, "freeze": True, "hidden": 8, "dropout": 0.0}
    return {**ARCHITECTURES["vit_gru"].settings, "encoder": encoder, **own, **changes}


def build(encoder, **changes):
    torch.manual_seed(3)
    return vit_gru.build(settings_of(encoder, **changes), 2)


def learn(network):
    """Make two steps of training; returns the names of the encoder's parameters and statistics that changed."""
    network.train()
    set_frozen(network, True)
    before = copy.deepcopy(network.encoder.state_dict())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):  # of a low rank, one factor has no gradient as long as the other one is zero
        optimizer.zero_grad()
        network(torch.randn(2, 3, 2, SIZE, SIZE)).square().sum().backward()
        optimizer.step()
    return {name for name, value in network.encoder.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("encoder", ["vit_micro", "timm/test_vit"])
def test_changes_of_low_rank_begin_with_none_and_learn_alone(encoder):
    plain, changed = build(encoder), build(encoder, lora_rank=2)
    clips = torch.randn(1, 3, 2, SIZE, SIZE)
    for network in (plain, changed):
        set_frozen(network.eval(), True)
    with torch.inference_mode():
        torch.testing.assert_close(changed(clips), plain(clips), rtol=0, atol=0)
    learned = learn(changed)
    assert len(learned) > 4
    assert {name.rpartition(".")[2] for name in learned} == {"a", "b"}
    assert all("attn" in name or "attention" in name for name in learned)
    assert learned == {name for name, p in changed.encoder.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("encoder", ["vit_micro", "resnet18", "timm/test_efficientnet", "timm/test_vit"])
def test_the_last_block_learns_alone_and_with_its_statistics(encoder):
    network = build(encoder, unfreeze_blocks=1)
    learned = learn(network)
    assert learned >= {name for name, p in network.encoder.named_parameters() if p.requires_grad} > set()
    last = {id(value) for part in network.unfrozen() for value in (*part.parameters(), *part.buffers())}
    state = network.encoder.state_dict(keep_vars=True)
    assert {id(state[name]) for name in learned} <= last


# Encoder -> the modules of its network that learn with `unfreeze_blocks: 2`.
LAST = {
    "vit_micro": ["encoder.layers.encoder_layer_2", "encoder.layers.encoder_layer_3", "encoder.ln"],
    "resnet18": ["layer4.0", "layer4.1"],
    "timm/vit_tiny_patch16_224": ["blocks.10", "blocks.11", "norm"],
    "timm/tf_efficientnet_lite0": ["blocks.5.3", "blocks.6.0", "conv_head", "bn2"],
    "timm/convnext_atto": ["stages.3.blocks.0", "stages.3.blocks.1", "head.norm"],
    "timm/swin_tiny_patch4_window7_224": ["layers.3.blocks.0", "layers.3.blocks.1", "norm"],
    "torchvision/efficientnet_b0": ["features.7.0", "features.8"],
    "torchvision/convnext_tiny": ["features.7.1", "features.7.2", "classifier.0"],
    "torchvision/vit_b_16": ["encoder.layers.encoder_layer_10", "encoder.layers.encoder_layer_11", "encoder.ln"],
    "torchvision/swin_t": ["features.7.0", "features.7.1", "norm"],
}


@pytest.mark.parametrize("encoder", LAST)
def test_the_last_blocks_are_those_that_compute_last(encoder):
    with torch.device("meta"):
        network = build(encoder, unfreeze_blocks=2)
    set_frozen(network, True)
    learning = {name for name, p in network.encoder.network.named_parameters() if p.requires_grad}
    below = tuple(f"{name}." for name in LAST[encoder])
    assert learning == {n for n, _ in network.encoder.network.named_parameters() if n.startswith(below)}
    assert all(any(name.startswith(each) for name in learning) for each in below)


@pytest.mark.parametrize(
    "encoder", ["timm/vit_base_patch14_dinov2", "timm/swin_tiny_patch4_window7_224", "torchvision/vit_b_16"]
)
def test_every_linear_layer_of_attention_changes(encoder):
    with torch.device("meta"):
        network = build(encoder, lora_rank=4)
    changes = [name for name, _ in network.encoder.named_parameters() if name.endswith(".a")]
    assert len(changes) == 2 * 12  # of queries, keys and values together, and of the output


def test_blocks_and_changes_of_low_rank_go_together():
    learned = learn(build("vit_micro", unfreeze_blocks=1, lora_rank=2))
    last = {key for key in learned if "encoder_layer_3" in key or "encoder.ln" in key}
    assert any(key.endswith("original") for key in last)
    assert {key.rpartition(".")[2] for key in learned - last} == {"a", "b"}


@pytest.mark.parametrize("encoder", ["timm/test_convnext", "timm/test_vit"])
def test_activations_of_the_blocks_of_a_library_can_be_recomputed(encoder):
    gradients = []
    for recomputed in (False, True):
        settings = settings_of(encoder, unfreeze_blocks=2, checkpointing=recomputed)
        network, calls = build(encoder, unfreeze_blocks=2).train(), []
        set_frozen(network, True)
        norm = next(m for m in list(network.stages())[-1].modules() if isinstance(m, torch.nn.LayerNorm))
        norm.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        place(network, settings, torch.device("cpu"))
        torch.manual_seed(0)
        network(torch.randn(1, 3, 2, SIZE, SIZE)).sum().backward()
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
        assert len(calls) == 1 + recomputed
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


@pytest.mark.slow
def test_changes_of_low_rank_are_exported(tmp_path):
    settings = settings_of("vit_micro", lora_rank=2)
    network = build("vit_micro", lora_rank=2)
    for change in network.unfrozen():
        torch.nn.init.normal_(change.b)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    record = {"architecture": vit_gru.__name__, "classes": ["a", "b"], "embedded": False, "micro_batch": 2}
    record |= {"precision": "fp32", "seed": 0, "settings": settings}
    graph = tmp_path / "model-0.onnx"
    graph.write_bytes(to_onnx(record, tmp_path / "model.safetensors", tmp_path))
    clips = np.random.default_rng(0).integers(0, 256, (3, 2, SIZE, SIZE, 3), np.uint8)
    expected = ClipModel(record, tmp_path / "model.safetensors").predict_proba(clips=clips)
    np.testing.assert_allclose(OnnxModel(record, graph).predict_proba(clips=clips), expected, atol=1e-5)
    without = ClipModel(record | {"settings": settings_of("vit_micro")}, plain(network, tmp_path / "plain.safetensors"))
    assert np.abs(without.predict_proba(clips=clips) - expected).max() > 1e-3


def plain(network, path):
    """Write the weights of a network without the changes."""
    state = {n.replace("parametrizations.", "").replace(".original", ""): v for n, v in network.state_dict().items()}
    save_file({name: value for name, value in state.items() if not name.endswith((".a", ".b"))}, path)
    return path


def test_what_an_encoder_does_not_have_is_said():
    with pytest.raises(ValueError, match="unfreeze_blocks is 5: the encoder has 4: use that or fewer"):
        build("vit_micro", unfreeze_blocks=5)
    with pytest.raises(ValueError, match="lora_rank is 2: the encoder has no attention: use unfreeze_blocks"):
        unfrozen_parts(library_encoder("timm/convnext_atto", "", False), 0, 2)


@pytest.mark.parametrize("setting", ["unfreeze_blocks", "lora_rank"])
def test_the_plan_embeds_nothing_once_of_an_encoder_that_learns(setting):
    entry = {"architecture": "vit_gru", "freeze": True}
    fixed, learning = plan_models([entry, entry | {"name": "b", setting: 2}], largest_size=112, most_frames=16)
    assert fixed.encoder is not None
    assert learning.encoder is None
    with pytest.raises(ValueError, match=f"{setting} is 2 but freeze is false: set freeze: true"):
        plan_models([entry | {"freeze": False, setting: 2}], largest_size=112, most_frames=16)
