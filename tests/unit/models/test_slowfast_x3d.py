from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from clipfold.models.architectures import slowfast, x3d
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.network import class_logits
from clipfold.models.residual import FramePool

MODULES = {"slowfast": slowfast, "x3d": x3d}
VARIANTS = [(name, variant) for name in MODULES for variant in ARCHITECTURES[name].declared["variant"].choices]
SMALL = [("slowfast", "small"), ("x3d", "m")]


def build(name, variant, classes=2, **settings):
    return MODULES[name].build(ARCHITECTURES[name].settings | {"variant": variant} | settings, classes)


def randomised(network, seed=0):
    """Normalisations that do something and last layers that say something, the last of each block less: sums grow."""
    torch.manual_seed(seed)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, *((0.1, 0.3) if name.endswith("norm_c") else (0.5, 1.5)))
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.05)
    return network


@pytest.fixture(scope="module")
def peer():
    """The models of PyTorchVideo by our names, for clips of given frames and size; they return logits."""
    hub = pytest.importorskip("pytorchvideo.models.hub", reason="the peer is in the extra `dev`")
    from pytorchvideo.models.x3d import create_x3d

    def make(variant, frames, size):
        if variant == "r50_8x8":
            edge = -(-size // 32)
            pools = ((-(-frames // 4), edge, edge), (frames, edge, edge))
            model = hub.slowfast_r50(head_pool_kernel_sizes=pools)
            return lambda clips: model([clips[:, :, ::4], clips]), randomised(model).eval()
        model = create_x3d(input_clip_length=frames, input_crop_size=size, head_activation=None)
        return model, randomised(model).eval()

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant", "file", "frames", "size"),
    [
        ("slowfast", "r50_8x8", "SLOWFAST_8x8_R50.pyth", 32, 64),
        ("slowfast", "r50_8x8", "SLOWFAST_8x8_R50.pyth", 13, 50),
        ("x3d", "xs", "X3D_XS.pyth", 4, 160),
        ("x3d", "s", "X3D_S.pyth", 13, 64),
        ("x3d", "m", "X3D_M.pyth", 16, 50),
    ],
)
def test_with_published_weights_logits_are_those_of_the_published_model(
    tmp_path, monkeypatch, peer, name, variant, file, frames, size
):
    reference, model = peer(variant, frames, size)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub/checkpoints"
    cache.mkdir(parents=True)
    torch.save({"model_state": model.state_dict()}, cache / file)
    network = build(name, variant, 400, weights="pretrained").eval()
    clips = torch.randn(2, 3, frames, size, size)
    with torch.inference_mode():
        expected, logits = reference(clips), network(clips)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "variant"), SMALL)
def test_weights_of_our_own_load_into_another_number_of_classes(tmp_path, name, variant):
    one = randomised(build(name, variant, 7))
    torch.save(one.state_dict(), tmp_path / "model.pth")
    other = build(name, variant, 2, weights=str(tmp_path / "model.pth"))
    pairs = zip(one.backbone().state_dict().values(), other.backbone().state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_small_slowfast_has_no_published_weights():
    with pytest.raises(ValueError, match="none are published for this variant"):
        build("slowfast", "small", weights="pretrained")


@pytest.mark.slow
# PyTorchVideo's model zoo; for X3D's operations that of PySlowFast, which counts as its paper does.
@pytest.mark.parametrize(
    ("name", "variant", "frames", "size", "millions", "billions"),
    [
        ("slowfast", "r50_8x8", 32, 256, 34.57, 65.71),
        ("x3d", "xs", 4, 160, 3.79, 0.60),
        ("x3d", "s", 13, 160, 3.79, 1.96),
        ("x3d", "m", 16, 224, 3.79, 4.73),
    ],
)
def test_parameters_and_operations_are_the_published_ones(name, variant, frames, size, millions, billions):
    with torch.device("meta"):
        network = build(name, variant, 400).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, frames, size, size))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    assert counter.get_total_flops() / 2e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
@pytest.mark.parametrize(("classes", "frames", "size"), [(2, 16, 112), (3, 1, 16), (101, 5, 33)])
def test_any_number_of_classes_and_frames_and_any_size(name, variant, classes, frames, size):
    with torch.device("meta"):
        logits = build(name, variant, classes).eval()(torch.empty(4, 3, frames, size, size))
    assert logits.shape == (4, 1 if classes == 2 else classes)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_the_backbone_is_all_but_the_last_layer(name, variant):
    with torch.device("meta"):
        network = build(name, variant, 5)
    rest = {id(p) for p in network.parameters()} - {id(p) for p in network.backbone().parameters()}
    assert rest == {id(network.head.weight), id(network.head.bias)}


def gradients(network, clips):
    network.zero_grad()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        logits = network(clips)
    logits.square().sum().backward()
    return [p.grad.clone() for p in network.parameters()], sum(kept)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant"), SMALL)
def test_activations_of_stages_can_be_computed_again(name, variant):
    network = randomised(build(name, variant, dropout=0.0))
    clips = torch.randn(2, 3, 8, 64, 64)
    plain, kept = gradients(network, clips)
    for stage in network.stages():
        stage.forward = partial(checkpoint, stage.forward, use_reentrant=False)
    again, kept_by_checkpoints = gradients(network, clips)
    torch.testing.assert_close(again, plain)
    assert kept_by_checkpoints < 0.5 * kept


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant"), SMALL)
def test_eight_random_clips_are_learned_by_heart(name, variant):
    torch.manual_seed(0)
    network = build(name, variant)
    clips, targets = torch.randn(8, 3, 4, 32, 32), torch.arange(8) % 2
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(12):
        loss = nn.functional.cross_entropy(class_logits(network(clips)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for module in network.modules():  # running statistics lag dozens of steps behind: take those of the whole data
        if isinstance(module, nn.BatchNorm3d):
            module.reset_running_stats()
            module.momentum = None
    with torch.inference_mode():
        network(clips)
        assert torch.equal(class_logits(network.eval()(clips)).argmax(dim=1), targets)


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
def test_frames_pooled_as_pictures_give_the_same_bits_and_gradients(layout):
    pool = FramePool(3, stride=2, padding=1)
    clips = torch.randint(0, 4, (2, 3, 5, 16, 13)).float().to(memory_format=layout)  # with many ties
    weight = torch.randn(2, 3, 5, 8, 7)
    found = []
    for way in (pool, pool.as_pictures):
        shown = clips.clone().requires_grad_()
        pooled = way(shown)
        (pooled * weight).sum().backward()
        found.append((pooled, shown.grad))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
