"""The parts of the engine, each by itself."""

import copy
import math

import numpy as np
import pytest
import torch
from helpers.fits import FRAMES, SIZE, settings_of, write_data
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.ops import sigmoid_focal_loss

from clipfold.clips.reader import Clips, scale_box
from clipfold.models.architectures import naive_cnn, vit_gru
from clipfold.models.device import Precision, _count_on_host, is_out_of_memory, place
from clipfold.models.inputs import as_input, normalised, unit
from clipfold.training import micro_batch, transforms
from clipfold.training.average import Average
from clipfold.training.batches import BatchSource
from clipfold.training.checkpoint import Checkpoint
from clipfold.training.host import on_host
from clipfold.training.losses import Loss
from clipfold.training.memory import largest_that_fits
from clipfold.training.micro_batch import choose_micro_batch, fits
from clipfold.training.optimisation import freeze, make_optimizer, rate_factor, set_rate
from clipfold.training.order import epoch_order, step_seed

CPU = torch.device("cpu")


def loss_of(classes, targets=(0, 0, 1), **changes):
    return Loss(settings_of("naive_cnn", **changes), np.array(targets), classes, CPU)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("targets", "weights"), [((0, 0, 0, 1, 2, 2), (2 / 3, 2, 1)), ((0, 1, 2), (1, 1, 1))])
def test_cross_entropy_is_pytorchs(targets, weights, smoothing):
    loss = loss_of(3, targets, label_smoothing=smoothing)
    logits, classes = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    soft = loss.soft(classes)
    theirs = nn.functional.cross_entropy(
        logits, classes, torch.tensor(weights, dtype=torch.float32), label_smoothing=smoothing, reduction="sum"
    )
    torch.testing.assert_close(loss(logits, soft), theirs)
    mixed = 0.3 * soft + 0.7 * soft.flip(0)
    theirs = nn.functional.cross_entropy(logits, mixed, torch.tensor(weights, dtype=torch.float32), reduction="sum")
    torch.testing.assert_close(loss(logits, mixed), theirs)


def test_a_lone_logit_is_that_of_the_second_class():
    loss = loss_of(2, class_weight="none")
    logits, targets = torch.randn(6, 1), torch.tensor([0, 1, 1, 0, 1, 0])
    theirs = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], targets.float(), reduction="sum")
    torch.testing.assert_close(loss(logits, loss.soft(targets)), theirs)


def test_the_balanced_sampler_is_not_balanced_once_more_by_weights():
    logits, classes = torch.randn(4, 1), torch.tensor([0, 1, 1, 0])
    sampled, plain = loss_of(2, sampler="balanced"), loss_of(2, class_weight="none")
    torch.testing.assert_close(sampled(logits, sampled.soft(classes)), plain(logits, plain.soft(classes)))


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.5, 0.9), (0.0, 0.25), (3.0, -1.0)])
def test_focal_loss_is_torchvisions(gamma, alpha):
    loss = loss_of(2, loss="focal", focal_gamma=gamma, focal_alpha=alpha, class_weight="none")
    logits, targets = 3 * torch.randn(6, 1), torch.tensor([0, 1, 1, 0, 1, 0])
    theirs = sigmoid_focal_loss(logits[:, 0], targets.float(), alpha, gamma, reduction="sum")
    torch.testing.assert_close(loss(logits, loss.soft(targets)), theirs)


def test_the_focal_gradient_of_a_sure_clip_is_finite():
    loss = loss_of(2, loss="focal", focal_gamma=0.5)
    logits = torch.tensor([[200.0], [-200.0]], requires_grad=True)
    loss(logits, loss.soft(torch.tensor([1, 1]))).backward()
    assert logits.grad.isfinite().all()


def test_a_focal_alpha_of_more_than_two_classes_is_ignored_with_a_warning(caplog):
    given_alpha = loss_of(3, (0, 1, 2), loss="focal", focal_alpha=0.25)
    assert "focal_alpha is for two classes: ignored with 3" in caplog.text
    logits, soft = torch.randn(2, 3), given_alpha.soft(torch.tensor([0, 2]))
    assert given_alpha(logits, soft) == loss_of(3, (0, 1, 2), loss="focal")(logits, soft)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(0, 2**31), st.integers(1, 9))
def test_each_video_is_shown_once_in_an_order_of_seed_and_epoch(versions, seed, epoch):
    targets = np.arange(len(versions)) % 2
    videos, chosen = epoch_order(targets, versions, seed=seed, epoch=epoch, balanced=False)
    assert sorted(videos) == list(range(len(versions)))
    assert all(0 <= c < versions[v] for v, c in zip(videos, chosen, strict=True))
    again = epoch_order(targets, versions, seed=seed, epoch=epoch, balanced=False)
    assert np.array_equal(again, (videos, chosen))


def test_orders_and_versions_change_from_epoch_to_epoch():
    drawn = [epoch_order(np.zeros(20, int), [3] * 20, seed=s, epoch=e, balanced=False) for s in (1, 2) for e in (1, 2)]
    assert len({videos.tobytes() for videos, _ in drawn}) == len({chosen.tobytes() for _, chosen in drawn}) == 4
    seeds = {step_seed(seed, step, rank) for seed in range(3) for step in range(3) for rank in range(3)}
    assert len(seeds) == 27
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_balanced_sampler_balances():
    targets = np.array([0] * 900 + [1] * 90 + [2] * 10)
    videos, _ = epoch_order(targets, [1] * 1000, seed=1, epoch=1, balanced=True)
    assert len(videos) == 1000
    counts = np.bincount(targets[videos])
    assert abs(counts - 1000 / 3).max() < 60  # four standard deviations


def drawn_of(clips, **changes):
    return transforms.draw(settings_of("naive_cnn", **changes), clips, 5)


ALL = {"flip": 0.5, "crop": 0.6, "jitter": 0.3}


def letterboxed(clips=6, size=32, frames=2):
    shown = torch.randint(1, 256, (clips, frames, size, size, 3), dtype=torch.uint8)
    shown[:, :, :8] = shown[:, :, 24:] = shown[:, :, :, :4] = 0
    return shown, torch.tensor([[8, 4, 16, size - 4]]).repeat(clips, 1)


def test_augmentation_on_the_device_is_the_same_for_any_micro_batch():
    clips, boxes = letterboxed()
    drawn = drawn_of(6, **ALL)
    whole = transforms.change(unit(clips), boxes, drawn)
    parts = [transforms.change(unit(clips[r]), boxes[r], drawn.of(r)) for r in (slice(4), torch.arange(4, 6))]
    torch.testing.assert_close(torch.cat([p[0] for p in parts]), whole[0], rtol=0, atol=1e-6)
    assert torch.equal(torch.cat([p[1] for p in parts]), whole[1])


@pytest.mark.parametrize("ahead", [2, 500])
def test_what_is_drawn_ahead_is_what_each_step_draws(ahead, monkeypatch):
    monkeypatch.setattr(transforms, "_AHEAD", ahead)
    settings, sizes = settings_of("naive_cnn", **ALL, mixup=0.2), [4, 4, 4, 1, 0]
    steps = transforms.draw_ahead(settings, sizes, range(5), CPU)
    for step, clips, seed in zip(steps, sizes, range(5), strict=True):
        alone = transforms.draw(settings, clips, seed)
        assert all(map(torch.equal, step.tensors(), alone.tensors()))
        assert step.crops
        assert alone.crops


def test_padding_stays_black_and_content_fills_its_box():
    clips, boxes = letterboxed()
    changed, moved = transforms.change(unit(clips), boxes, drawn_of(6, **ALL))
    assert not torch.equal(moved, boxes)
    for clip, (top, left, height, width) in zip(changed, moved.tolist(), strict=True):
        inside = torch.zeros(32, 32, dtype=torch.bool)
        inside[top : top + height, left : left + width] = True
        assert (clip[..., ~inside] == 0).all()
        assert (clip[..., inside] > 0).all()


def test_a_flip_mirrors_clip_and_box():
    clips, boxes = letterboxed()
    changed, moved = transforms.change(unit(clips), boxes, drawn_of(6, flip=1.0))
    assert torch.equal(changed, unit(clips).flip(-1))
    assert moved[0].tolist() == [8, 0, 16, 28]


def test_a_crop_shows_a_part_of_the_content_larger():
    ramp = torch.arange(32).repeat(1, 1, 32, 1)[..., None].repeat(1, 1, 1, 1, 3).to(torch.uint8)  # the column's number
    boxes = torch.tensor([[0, 8, 32, 16]])
    drawn = transforms.Drawn(
        torch.tensor([False]), torch.tensor([0.5]), torch.tensor([[0.5, 0.0]]), torch.ones(1, 3), *[torch.zeros(1)] * 2
    )
    changed, _ = transforms.change(unit(ramp), boxes, drawn)
    row = changed[0, 0, 0, 16] * 255
    expected = torch.zeros(32)
    expected[8:24] = 16 + (torch.arange(16) + 0.5) / 2 - 0.5  # columns 16 to 24: the right half of the content
    torch.testing.assert_close(row, expected, rtol=0, atol=1e-3)


def test_jitter_multiplies_colours_and_mixup_shares_sum_to_one():
    clips, boxes = letterboxed()
    drawn = drawn_of(6, jitter=0.3, mixup=0.4)
    changed, _ = transforms.change(unit(clips), boxes, drawn)
    torch.testing.assert_close(changed, unit(clips) * drawn.gain[:, :, None, None, None])
    assert drawn.gain.min() >= 0.7
    assert drawn.gain.max() <= 1.3
    assert drawn.gain.std() > 0.05
    assert sorted(drawn.partner.tolist()) == list(range(6))
    assert ((drawn.share >= 0) & (drawn.share <= 1)).all()
    assert drawn.share.unique().numel() == 6
    assert not transforms.wanted(settings_of("naive_cnn"))
    assert all(transforms.wanted(settings_of("naive_cnn", **{key: ALL.get(key, 0.2)})) for key in (*ALL, "mixup"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), copies=2)["data"]


@pytest.mark.parametrize("frames", [1, 3, FRAMES])
def test_clips_are_those_of_the_arrays_with_fewer_frames(data, frames):
    clips = Clips(data, frames, SIZE, SIZE)
    chosen = [math.floor((i + 0.5) * FRAMES / frames) for i in range(frames)]
    originals = [np.load(path)[:, chosen] for path in data["clips"]]
    copies = [np.load(path)[:, chosen] for path in data["augmented"]]
    ids = [f"train{i}" for i in (3, 0, 8)]
    got = clips.gather(ids, [0, 2, 1])
    assert got.shape == (3, *clips.shape)
    assert np.array_equal(got, [originals[1][1], copies[0][1], copies[0][8]])
    assert np.array_equal(clips.gather(ids), [originals[1][1], originals[0][0], originals[0][4]])
    assert {clips.versions(video) for video in ids} == {3}
    assert clips.boxes(ids).tolist() == [[8, 0, 16, 32]] * 3
    assert clips.boxes([]).shape == (0, 4)


@given(st.data(), st.integers(16, 256), st.integers(16, 256))
def test_scaled_boxes_lie_within_the_clip_and_the_content(data, stored, size):
    top, left = (data.draw(st.integers(0, stored - 1)) for _ in range(2))
    height, width = data.draw(st.integers(1, stored - top)), data.draw(st.integers(1, stored - left))
    box = scale_box([top, left, height, width], stored, size)
    for first, extent, given_first, given_extent in zip(box[:2], box[2:], (top, left), (height, width), strict=True):
        assert first >= 0
        assert extent >= 1
        assert first + extent <= size
        if extent > 1:
            assert given_first * size <= first * stored
            assert (first + extent) * stored <= (given_first + given_extent) * size
    if stored == size:
        assert box.tolist() == [top, left, height, width]


@given(st.integers(0, 100), st.integers(1, 100))
def test_the_largest_that_fits_is_found_in_few_trials(limit, most):
    tried = []

    def fit(n):
        tried.append(n)
        return n <= limit

    assert largest_that_fits(fit, most) == min(limit, most)
    assert all(1 <= n <= most for n in tried)
    assert len(tried) == len(set(tried)) <= 2 * math.log2(most) + 2


def test_a_trial_step_says_whether_it_fits_and_leaves_the_network_alone(data):
    settings = settings_of("naive_cnn", batch_size="auto", accumulate=32, ema=0.9, checkpointing=True)
    network = naive_cnn.build(settings, 2)
    place(network, settings, CPU)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    source = BatchSource(
        Clips(data, 3, SIZE, SIZE), [f"train{i}" for i in range(9)], np.arange(9) % 2, CPU, 0, augmented=True
    )
    assert choose_micro_batch(network, settings, source, 2) == 8  # on a CPU
    assert fits(network, settings, source, 2, 4)

    def check(net, inputs):
        if len(inputs[0]) > 3:
            raise torch.OutOfMemoryError

    network.register_forward_pre_hook(check)
    found = [fits(network, settings, source, 2, n) for n in (1, 3, 4)]
    assert found == [True, True, False]
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


def test_a_trial_step_has_gradients_of_what_will_ever_learn(data, monkeypatch):
    seen = []

    def note(network, *rest):
        seen.append({p.requires_grad for p in network.encoder.parameters()})
        return make_optimizer(network, *rest)

    monkeypatch.setattr(micro_batch, "make_optimizer", note)
    source = BatchSource(Clips(data, 3, SIZE, SIZE), ["train0", "train1"], np.arange(2), CPU, 0, augmented=True)
    for unfreeze_at in (0, 3):
        settings = settings_of("vit_gru", freeze=True, unfreeze_at=unfreeze_at)
        assert fits(vit_gru.build(settings, 2), settings, source, 2, 1)
    assert seen == [{False}, {True}]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("FIND was unable to find an engine to execute this computation"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("No valid execution plans built."),
    ],
)
def test_errors_of_memory_are_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shape"), ValueError("out of memory"), RuntimeError("CUDNN_STATUS_BAD_PARAM")]
)
def test_other_errors_are_not_of_memory(error):
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(("architecture", "module"), [("naive_cnn", naive_cnn), ("vit_gru", vit_gru)])
def test_checkpointing_gives_the_same_gradients_and_moves_statistics_once(architecture, module):
    settings = settings_of(architecture, dropout=0.0)
    networks = [module.build(settings, 2) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    calls = []
    for stage in networks[1].stages():
        stage.register_forward_hook(lambda *ignored: calls.append(1))
    for network, checkpointing in zip(networks, (False, True), strict=True):
        place(network, settings | {"checkpointing": checkpointing}, CPU)
        torch.manual_seed(3)
        network.train()(torch.randn(3, 3, 3, 32, 32)).square().sum().backward()
    for ours, theirs in zip(networks[1].parameters(), networks[0].parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(networks[1].state_dict(), networks[0].state_dict())
    momenta = {m.momentum for m in networks[1].modules() if isinstance(m, nn.BatchNorm3d)}
    assert momenta <= {0.1}


def test_checkpointing_computes_stages_again(monkeypatch):
    settings = settings_of("naive_cnn", checkpointing=True)
    network = naive_cnn.build(settings, 2)
    seen = []
    for block in network.blocks:
        block[0].register_forward_hook(lambda *ignored: seen.append(1))
    place(network, settings, CPU)
    loss = network.train()(torch.randn(2, 3, 3, 32, 32)).sum()
    assert len(seen) == 4
    loss.backward()
    assert len(seen) == 8


def test_a_frozen_backbone_neither_learns_nor_moves_its_statistics_until_it_is_let():
    settings = settings_of("vit_gru", freeze=True, unfreeze_at=3, backbone_rate=0.1)
    network = vit_gru.build(settings, 2)
    for epoch, frozen in ((1, True), (2, True), (3, False), (4, False)):
        network.train()
        freeze(network, settings, epoch)
        assert {p.requires_grad for p in network.encoder.parameters()} == {not frozen}
        assert network.encoder.training is not frozen
        assert network.temporal.training
        assert all(p.requires_grad for p in network.temporal.parameters())
    freeze(network, settings | {"unfreeze_at": 0}, 99)
    assert not network.encoder.training
    freeze(network, settings | {"freeze": False}, 1)
    assert network.encoder.training


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_backbone_has_its_rate_and_biases_do_not_decay(optimizer):
    settings = settings_of("vit_gru", backbone_rate=0.1, learning_rate=0.02, weight_decay=0.3, optimizer=optimizer)
    network = vit_gru.build(settings, 2)
    made = make_optimizer(network, settings, CPU)
    set_rate(made, 0.5)
    inner = set(map(id, network.encoder.parameters()))
    count = 0
    for group in made.param_groups:
        for parameter in group["params"]:
            count += 1
            assert group["lr"] == pytest.approx(0.001 if id(parameter) in inner else 0.01)
            assert group["weight_decay"] == (0.3 if parameter.ndim > 1 else 0)
    assert count == len(list(network.parameters()))


def test_rates_warm_up_then_fall_as_the_schedule_says():
    settings = settings_of("naive_cnn", warmup=0.2)
    cosine = [rate_factor(settings, step, 10) for step in range(10)]
    assert cosine[:2] == [0.5, 1.0]
    assert cosine[6] == pytest.approx(0.5)
    assert sorted(cosine[2:], reverse=True) == cosine[2:]
    for schedule in ("constant", "plateau"):
        factors = [rate_factor(settings | {"schedule": schedule}, step, 10) for step in range(10)]
        assert factors == [0.5] + [1.0] * 9
    assert rate_factor(settings | {"warmup": 0.0}, 0, 10) == 1


def test_inputs_are_normalised_as_the_network_wants():
    clips = torch.randint(0, 256, (2, 3, 4, 5, 3), dtype=torch.uint8)
    network = vit_gru.build(settings_of("vit_gru"), 2)
    given_ = as_input(network, clips)
    assert given_.shape == (2, 3, 3, 4, 5)
    value = (clips[1, 2, 3, 4, 1].item() / 255 - network.mean[1]) / network.std[1]
    assert given_[1, 1, 2, 3, 4].item() == pytest.approx(value, abs=1e-6)
    torch.testing.assert_close(normalised(network, unit(clips)), given_)
    embeddings = torch.randn(2, 3, 8)
    assert as_input(network, embeddings) is embeddings


def test_fp16_falls_back_on_a_cpu_with_a_warning(caplog):
    assert Precision("fp16", CPU).name == "fp32"
    assert "precision fp16 needs a GPU" in caplog.text
    with Precision("bf16", CPU).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_average_is_pytorchs(decay):
    torch.manual_seed(1)
    network = naive_cnn.build(settings_of("naive_cnn"), 2)
    average = Average(network, decay)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    for step in range(4):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data.add_(1 if tensor.dtype == torch.int64 else torch.randn_like(tensor))
        average.update()
        theirs.update_parameters(network)
        if step == 1:  # a restored average goes on in the same way
            state = copy.deepcopy(average.state_dict())
            average = Average(network, decay)
            average.load_state_dict(state)
    for name, value in average.network.state_dict().items():
        expected = theirs.module if value.is_floating_point() else network
        torch.testing.assert_close(value, expected.state_dict()[name], rtol=0, atol=0)


def test_a_copy_on_the_host_is_not_changed_by_what_follows():
    state = {"weights": torch.zeros(3), "nested": [{"step": torch.ones(())}, 4], "pair": (1, torch.zeros(2))}
    kept = on_host(state)
    for tensor in (state["weights"], state["nested"][0]["step"], state["pair"][1]):
        tensor.add_(7)
    assert kept["weights"].tolist() == [0, 0, 0]
    assert kept["nested"] == [{"step": 1}, 4]
    assert kept["pair"][1].tolist() == [0, 0]


def test_a_checkpoint_is_written_beside_training_and_complete_when_it_is_read(tmp_path):
    place = tmp_path / "checkpoint.pt"
    checkpoint = Checkpoint(place, "key")
    for number in range(3):
        checkpoint.save_beside({"weights": torch.full((1000,), float(number))})
    assert checkpoint.load()["weights"].unique().tolist() == [2]
    assert not checkpoint.writing()
    checkpoint.save_beside({"weights": torch.zeros(1)})
    checkpoint.remove()
    assert not place.exists()


def test_an_error_of_writing_beside_is_raised_later(tmp_path):
    checkpoint = Checkpoint(tmp_path / "file" / "checkpoint.pt", "key")
    (tmp_path / "file").touch()
    checkpoint.save_beside({})
    with pytest.raises(OSError, match="file"):
        checkpoint.save({})


class Busy:
    """In place of the device of a GPU, whose memory a neighbour takes after it was free."""

    type = "cuda"


def test_clips_that_no_longer_fit_on_the_gpu_are_read_from_files(data, monkeypatch, caplog):
    def full(self, clips):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(BatchSource, "_load", full)
    source = BatchSource(Clips(data, 3, SIZE, SIZE), ["train0"], np.zeros(1, int), Busy(), 0, augmented=True)
    assert (source.kind, source.stored) == ("files", None)
    assert "reading them from files" in caplog.text


def test_counters_of_batch_normalisation_stay_on_the_host():
    network = naive_cnn.build(settings_of("naive_cnn"), 2)
    names = list(network.state_dict())
    network.to("meta")  # in place of a GPU
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm3d)):
        norm.num_batches_tracked = Far()
    _count_on_host(network)
    network.train()(torch.empty(2, 3, 3, 32, 32, device="meta"))
    assert list(network.state_dict()) == names
    counts = [value for name, value in network.state_dict().items() if "num_batches" in name]
    assert [(count.device.type, int(count)) for count in counts] == [("cpu", 1)] * 4


class Far(torch.Tensor):
    """A counter on a GPU."""

    def cpu(self):
        return torch.zeros((), dtype=torch.int64)
