"""Test what all networks on clips keep to, each at settings that a test has time for."""

import pytest
import torch
from helpers.networks import NETWORKS, build
from torch import nn
from torch.utils.checkpoint import checkpoint

from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.network import class_logits, outputs


def inputs(network, batch, frames=4, size=32):
    clips = torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor([[size // 4, 0, size // 2, size]] * batch)
    return (clips, boxes) if network.takes_boxes else (clips,)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_learns_eight_random_clips_by_heart(name):
    frames, size = (4, 32) if name == "mvit_v2_s" else (2, 16)
    network = build(name, frames=frames, size=size)
    batch, targets = inputs(network, 8, frames, size), torch.arange(8) % 2
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-4)
    right = 0.0
    for step in range(100):
        network.train()
        nn.functional.cross_entropy(class_logits(network(*batch)), targets).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 5 == 4:
            network.eval()
            with torch.inference_mode():
                right = (class_logits(network(*batch)).argmax(1) == targets).float().mean().item()
            if right == 1:
                break
    assert right == 1


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("name", NETWORKS)
def test_two_classes_take_one_logit_more_take_one_each(name, classes):
    network = build(name, classes)
    assert network(*inputs(network, 2)).shape == (2, outputs(classes))


@pytest.mark.parametrize("name", NETWORKS)
def test_clips_of_a_batch_do_not_see_each_other(name):
    network = build(name).eval()
    batch = inputs(network, 3)
    with torch.inference_mode():
        together, alone = network(*batch), network(*(part[1:2] for part in batch))
    torch.testing.assert_close(alone, together[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_stages_are_called_once_each_in_their_order_and_checkpoints_change_no_gradient(name):
    network = build(name, dropout=0.2)
    stages, called = list(network.stages()), []
    assert len(stages) > 1
    for stage in stages:
        stage.register_forward_pre_hook(lambda module, _: called.append(module))

    def gradients():
        torch.manual_seed(2)
        network.zero_grad()
        network(*inputs(network, 2)).square().sum().backward()
        return {key: p.grad.clone() for key, p in network.named_parameters() if p.grad is not None}

    plain = gradients()
    assert called == stages
    for stage in stages:
        stage.forward = lambda *args, run=stage.forward: checkpoint(run, *args, use_reentrant=False)
    torch.testing.assert_close(gradients(), plain)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_backbone_is_part_of_the_network_and_leaves_the_last_layer_out(name):
    network = build(name)
    own, backbone = set(network.parameters()), network.backbone()
    assert ("weights" in ARCHITECTURES[name].settings) == (backbone is not None)
    if backbone is not None:
        assert set(backbone.parameters()) < own
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        assert last.out_features == 1
        assert last.weight not in set(backbone.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "mvit_v2_s", "swin3d_t", "variable_ar_cnn", "cnn_lstm"])
@pytest.mark.parametrize(("frames", "size"), [(1, 16), (5, 50)])
def test_takes_any_number_of_frames_and_any_size(name, frames, size):
    network = build(name, frames=frames, size=size).eval()
    assert network(*inputs(network, 2, frames, size)).shape == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_is_trained(name):
    network = build(name, classes=3)
    network(*inputs(network, 4)).square().sum().backward()
    assert [key for key, p in network.named_parameters() if p.requires_grad and p.grad is None] == []
