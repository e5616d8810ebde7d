import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from clipfold.models.architectures.variable_ar_cnn import MaskedBatchNorm3d, VariableARCNN, to_corner

EDGES = st.integers(1, 20)


def build(width=4):
    """In double precision: training divides by the spread of what may be two values, which magnifies rounding."""
    torch.manual_seed(0)
    network = VariableARCNN(classes=3, width=width, dropout=0.2).double()
    for module in network.modules():
        if isinstance(module, MaskedBatchNorm3d):  # as after training: nothing is 0 or 1
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return network


def content(height, width, seed=0):
    return torch.randn(1, 3, 5, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def placed(contents, frame, corners):
    """Contents in frames of one size, with what is around them far from anything."""
    clips = torch.full((len(contents), 3, 5, *frame), 1e3, dtype=contents[0].dtype)
    boxes = []
    for clip, part, (top, left) in zip(clips, contents, corners, strict=True):
        height, width = part.shape[-2:]
        clip[..., top : top + height, left : left + width] = part
        boxes.append([top, left, height, width])
    return clips, torch.tensor(boxes)


def logits(network, batch):
    torch.manual_seed(3)  # of dropout
    return network(*batch)


@pytest.mark.parametrize("training", [False, True])
@settings(deadline=None, max_examples=40)
@given(EDGES, EDGES, EDGES, EDGES, EDGES, EDGES)
def test_padding_changes_no_output(training, height, width, top, left, bottom, right):
    part = content(height, width)
    tight = placed([part], (height, width), [(0, 0)])
    loose = placed([part], (top + height + bottom, left + width + right), [(top, left)])
    alone = logits(build().train(training), tight)
    torch.testing.assert_close(logits(build().train(training), loose), alone, rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(EDGES, EDGES, EDGES, EDGES)
def test_others_in_the_batch_change_no_output(height, width, other_height, other_width):
    part, other = content(height, width), content(other_height, other_width, 1)
    network = build().eval()
    alone = network(*placed([part], (height, width), [(0, 0)]))
    together = network(*placed([other, part], (20, 20), [(0, 0), (20 - height, 20 - width)]))
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-9)


def test_padding_changes_no_gradient_and_no_statistics_of_a_mixed_batch():
    parts = [content(9, 16), content(16, 9, 1), content(13, 13, 2)]
    after = []
    for frame, corners in (((16, 16), [(3, 0), (0, 3), (1, 1)]), ((40, 30), [(0, 0), (24, 21), (7, 5)])):
        network = build().train()
        logits(network, placed(parts, frame, corners)).square().sum().backward()
        after.append(network.state_dict() | {f"d {key}": p.grad for key, p in network.named_parameters()})
    torch.testing.assert_close(after[0], after[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_no_output_beyond_rounding_in_single_precision(training):
    parts = [content(63, 112).float(), content(112, 63, 1).float()]
    small = logits(build(16).float().train(training), placed(parts, (112, 112), [(24, 0), (0, 24)]))
    large = logits(build(16).float().train(training), placed(parts, (150, 131), [(1, 19), (38, 68)]))
    torch.testing.assert_close(large, small, rtol=0, atol=1e-5)


def test_normalises_as_batch_norm_does_where_all_is_content():
    ours, theirs = MaskedBatchNorm3d(4), nn.BatchNorm3d(4)
    x, everywhere = 3 * torch.randn(2, 4, 3, 5, 6) + 1, torch.ones(2, 1, 1, 5, 6)
    for _ in range(3):
        torch.testing.assert_close(ours(x, everywhere), theirs(x))
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    torch.testing.assert_close(ours.eval()(x, everywhere), theirs.eval()(x))


def test_content_is_moved_with_zeros_around_it():
    clips = torch.arange(1, 17).reshape(1, 1, 1, 4, 4).float()
    moved, inside = to_corner(clips, torch.tensor([[1, 2, 2, 1]]))
    expected = torch.zeros(4, 4)
    expected[:2, 0] = torch.tensor([7.0, 11.0])
    assert torch.equal(moved[0, 0, 0], expected)
    assert torch.equal(inside[0, 0, 0], (expected > 0).float())


def test_convolutions_begin_as_he_et_al_propose():
    torch.manual_seed(0)
    network = VariableARCNN(classes=2, width=32, dropout=0.0)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            fan_out = module.out_channels * module.weight[0, 0].numel()
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
            assert module.bias is None
