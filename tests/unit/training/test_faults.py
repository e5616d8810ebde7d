"""Memory that runs out, and losses that are not finite."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from helpers.fits import at_forward, fitted, plan, with_network, write_data
from torch import nn

from clipfold.models.device import Precision
from clipfold.training.batches import Batch
from clipfold.training.distributed import Processes
from clipfold.training.losses import Loss
from clipfold.training.optimisation import make_optimizer, make_state
from clipfold.training.train_step import TrainStep
from clipfold.training.trainer import NotFiniteError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def out_of_memory(*ignored):
    raise torch.OutOfMemoryError("CUDA out of memory.")


class _FailsBackward(torch.autograd.Function):
    @staticmethod
    def forward(context, values):
        return values.clone()

    @staticmethod
    def backward(context, gradient):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def fail_at(network, steps, random):
    """Run out of memory in each of these forward passes of the training, or in what follows from it."""
    seen = iter(range(10**6))

    def before(net, inputs):
        if net.training:
            net.number = next(seen)
            if net.number in steps and random.random() < 0.3:
                out_of_memory()

    def after(net, inputs, logits):
        if net.training and net.number in steps:
            if random.random() < 0.5:
                out_of_memory()
            return _FailsBackward.apply(logits)
        return logits

    network.register_forward_pre_hook(before)
    network.register_forward_hook(after)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["naive_cnn", "vit_gru"])
def test_out_of_memory_at_20_random_steps_changes_no_bit(architecture, data, tmp_path, monkeypatch):
    changes = {
        "checkpoint_epochs": 0,
        "dropout": 0.3,
        "epochs": 10,
        "batch_size": 3,
        "ema": 0.9,
        "flip": 0.5,
        "mixup": 0.2,
        "patience": 99,
    }
    whole = fitted(data, tmp_path / "whole", architecture, **changes)
    random = np.random.default_rng(3)
    # A repeated step takes the next number: no two of them follow each other, which would halve the micro-batch.
    steps = set((2 * random.choice(25, 20, replace=False)).tolist())
    with_network(monkeypatch, architecture, lambda net: fail_at(net, steps, random))
    broken = fitted(data, tmp_path / "broken", architecture, **changes)
    broken.assert_same(whole)
    assert len(broken.record["out_of_memory"]["repeated"]) == 20
    assert broken.record["out_of_memory"]["halved"] == []


def room_for(network, clips):
    def check(net, inputs):
        if net.training and len(inputs[0]) > clips:
            out_of_memory()

    network.register_forward_pre_hook(check)


@pytest.mark.slow
def test_memory_for_few_clips_halves_the_micro_batch_and_keeps_the_effective_one(data, tmp_path, monkeypatch):
    changes = {"dropout": 0.0, "batch_size": 8, "accumulate": 1, "flip": 0.5, "learning_rate": 1e-5}
    whole = fitted(data, tmp_path / "whole", "vit_gru", **changes)
    with_network(monkeypatch, "vit_gru", lambda net: room_for(net, 3))
    little = fitted(data, tmp_path / "little", "vit_gru", **changes)
    little.assert_close(whole)
    assert little.record["out_of_memory"] == {"repeated": [0], "halved": [[0, 4], [0, 2]]}
    assert (little.record["batch"], little.record["micro_batch"]) == (8, 2)
    assert (whole.record["batch"], whole.record["micro_batch"]) == (8, 8)


@pytest.mark.slow
def test_a_clip_that_does_not_fit_is_an_error_that_names_frames_and_size(data, tmp_path, monkeypatch):
    with_network(monkeypatch, "naive_cnn", lambda net: room_for(net, 0))
    expected = (
        r"a single clip of 3 frames at 32 pixels does not fit into memory: use .* \(the last error: CUDA out of memory"
    )
    with pytest.raises(RuntimeError, match=expected):
        fitted(data, tmp_path, "naive_cnn")


def test_other_errors_are_not_taken_for_a_lack_of_memory(data, tmp_path, monkeypatch):
    def other():
        raise RuntimeError("shapes do not fit")

    with_network(monkeypatch, "naive_cnn", lambda net: at_forward(net, 1, other))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        fitted(data, tmp_path, "naive_cnn")


class Normalised(nn.Module):
    takes_boxes = False

    def __init__(self):
        super().__init__()
        self.norm, self.head, self.room = nn.BatchNorm1d(4), nn.Linear(4, 1), True

    def backbone(self):
        return None

    def forward(self, values):
        values = self.norm(values.flatten(1))
        if not self.room:
            self.room = True
            out_of_memory()
        return self.head(values)


def train_step(network, micro=4, **changes):
    settings = plan({}, "", "naive_cnn", **changes)["settings"]
    cpu = torch.device("cpu")
    optimizer = make_optimizer(network, settings, cpu)
    loss = Loss(settings, np.array([0, 1]), 2, cpu)
    return TrainStep(network, optimizer, loss, Precision("fp32", cpu), settings, Processes(), cpu, micro)


def test_statistics_that_a_failed_attempt_moved_are_put_back():
    torch.manual_seed(1)
    batch = Batch(torch.randn(4, 1, 4), torch.zeros(4, 4, dtype=torch.int64), torch.tensor([0, 1, 0, 1]))
    networks = [Normalised(), Normalised()]
    networks[1].load_state_dict(networks[0].state_dict())
    networks[1].room = False
    for network in networks:
        made = train_step(network)
        made(batch, 4, 0, 5)
    assert made.retried == [0]
    torch.testing.assert_close(networks[1].state_dict(), networks[0].state_dict(), rtol=0, atol=0)
    assert networks[0].norm.num_batches_tracked == 1


class Random(nn.Module):
    """Has an operation without a deterministic variant, as few are on a CPU."""

    takes_boxes = False

    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 1)

    def backbone(self):
        return None

    def forward(self, values):
        values = self.norm(values.flatten(1))
        values.detach().clone().put_(torch.tensor([0]), torch.ones(1))
        return self.head(values)


def test_an_operation_without_a_deterministic_variant_is_named_and_the_step_made_all_the_same():
    batch = Batch(torch.randn(4, 1, 4), torch.zeros(4, 4, dtype=torch.int64), torch.tensor([0, 1, 0, 1]))
    networks = [Random(), Random()]
    networks[1].load_state_dict(networks[0].state_dict())
    try:
        for network, warn_only in zip(networks, (False, True), strict=True):
            torch.use_deterministic_algorithms(True, warn_only=warn_only)
            made = train_step(network)
            made(batch, 4, 0, 5)
            assert made.random == ([] if warn_only else ["put_"])
            assert made.retried == made.halved == []
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(networks[1].state_dict(), networks[0].state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(("micro", "expected"), [(8, [8]), (4, [4, 4]), (7, [4, 4]), (3, [3, 3, 2])])
def test_micro_batches_that_nobody_chose_are_even(micro, expected):
    """31 and 1 would be twice the launches, and statistics of a single clip."""
    made = train_step(Normalised(), micro)
    made.halved.append((0, micro))
    assert [len(range(8)[part]) for part in made._parts(8)] == expected
    made.halved.clear()
    assert [len(range(8)[part]) for part in made._parts(8)] == [len(some) for some in torch.arange(8).split(micro)]
    assert made._parts(0) == []


def test_several_micro_batches_leave_the_cuda_graphs_of_compilation(monkeypatch, caplog):
    modes = []
    network = Normalised()
    monkeypatch.setattr(network, "compile", lambda mode: modes.append(mode), raising=False)
    batch = Batch(torch.randn(4, 1, 4), torch.zeros(4, 4, dtype=torch.int64), torch.tensor([0, 1, 0, 1]))
    made = train_step(network, micro=2, compile="reduce-overhead")
    for step in range(2):
        made(batch, 4, step, 5)
    assert modes == ["default"]
    assert "compile reduce-overhead cannot be used with several micro-batches: using default" in caplog.text


def test_short_batches_run_uncompiled(monkeypatch):
    stances = []
    monkeypatch.setattr(torch.compiler, "set_stance", lambda stance: stances.append(stance) or nullcontext())
    made = train_step(Normalised(), compile="default")
    for clips in (4, 4, 2, 4):
        rows = Batch(torch.randn(clips, 1, 4), torch.zeros(clips, 4, dtype=torch.int64), torch.arange(clips) % 2)
        made(rows, clips, 0, 5)
    assert stances == ["force_eager"]


def test_a_process_without_a_clip_in_a_step_has_nothing_to_add():
    network = Normalised()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train_step(network)(Batch(torch.empty(0, 1, 4), torch.empty(0, 4), torch.empty(0, dtype=torch.int64)), 4, 0, 5)
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_state_made_beforehand_is_the_optimizers_own(optimizer):
    settings = plan({}, "", "naive_cnn", optimizer=optimizer)["settings"]
    torch.manual_seed(1)
    networks = [Normalised(), Normalised()]
    networks[1].load_state_dict(networks[0].state_dict())
    made = [make_optimizer(network, settings, torch.device("cpu")) for network in networks]
    values = torch.randn(6, 4)
    for _ in range(3):
        for network, own in zip(networks, made, strict=True):
            own.zero_grad()
            network(values).square().sum().backward()
            if network is networks[1]:
                make_state(own)
                assert len(own.state) == len(list(network.parameters()))
            own.step()
    torch.testing.assert_close(networks[1].state_dict(), networks[0].state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(made[1].state_dict()["state"], made[0].state_dict()["state"], rtol=0, atol=0)


@pytest.mark.parametrize("call", range(8))
def test_memory_that_runs_out_while_the_optimizer_makes_its_state_changes_no_bit(call, monkeypatch):
    torch.manual_seed(1)
    batch = Batch(torch.randn(4, 1, 4), torch.zeros(4, 4, dtype=torch.int64), torch.tensor([0, 1, 0, 1]))
    networks = [Normalised(), Normalised()]
    networks[1].load_state_dict(networks[0].state_dict())
    calls, zeros_like = iter(range(1000)), torch.zeros_like

    def failing(values, **options):
        if values.ndim and next(calls) == call:
            out_of_memory()
        return zeros_like(values, **options)

    for network in networks:
        made = train_step(network)
        if network is networks[1]:
            monkeypatch.setattr(torch, "zeros_like", failing)
        for step in range(2):
            made(batch, 4, step, 5)
    assert made.retried == [0]
    torch.testing.assert_close(networks[1].state_dict(), networks[0].state_dict(), rtol=0, atol=0)


def spoil(network, number, what, times=1):
    """Make the loss, or only its gradient, infinite from a forward pass of the training on, `times` times."""
    seen = iter(range(10**6))

    def after(net, inputs, logits):
        if net.training and number <= next(seen) < number + times:
            if what == "loss":
                return logits * torch.nan
            logits.register_hook(lambda gradient: gradient * torch.inf)
        return logits

    network.register_forward_hook(after)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_no_number_stops_the_fit_and_names_step_rate_and_videos(what, data, tmp_path, monkeypatch):
    seen = []

    def change(net):
        spoil(net, 5, what)

    monkeypatch.setattr(TrainStep, "__call__", watched(TrainStep.__call__, seen))
    with_network(monkeypatch, "naive_cnn", change)
    with pytest.raises(NotFiniteError, match=r"step 5 \(epoch 2\)") as error:
        fitted(data, tmp_path, "naive_cnn", learning_rate=0.0123)  # by a cosine, at the last of 6 steps
    assert "learning rate of 0.000824:" in str(error.value)
    assert "on_nan: halve" in str(error.value)
    named = str(error.value).split("videos were ")[1].replace("'", "").split(", ")
    assert len(named) == 1
    assert named[0].startswith("train")
    assert seen[5] == int(named[0].removeprefix("train")) % 2


def watched(call, seen):
    def called(self, batch, *arguments):
        seen.append(int(batch.targets[-1]))
        return call(self, batch, *arguments)

    return called


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_halving_the_rate_resumes_from_a_checkpoint_of_finite_weights(what, data, tmp_path, monkeypatch, caplog):
    with_network(monkeypatch, "naive_cnn", lambda net: spoil(net, 4, what))
    changes = {"on_nan": "halve", "schedule": "constant", "learning_rate": 0.01, "checkpoint_minutes": 1e-9}
    found = fitted(data, tmp_path, "naive_cnn", **changes)
    assert found.history.learning_rate.tolist() == [0.01, 0.005]
    assert found.record["rollbacks"] == 1
    assert "with half the learning rate" in caplog.text
    assert all(value.isfinite().all() for value in found.weights.values())


def test_a_loss_that_never_becomes_a_number_stops_the_fit_in_the_end(data, tmp_path, monkeypatch, caplog):
    with_network(monkeypatch, "naive_cnn", lambda net: spoil(net, 1, "loss", times=999))
    with pytest.raises(NotFiniteError):
        fitted(data, tmp_path, "naive_cnn", on_nan="halve")
    assert caplog.text.count("with half the learning rate") == 5


def test_predictions_that_are_no_numbers_stop_the_fit(data, tmp_path, monkeypatch):
    def change(net):
        net.register_forward_hook(lambda net, inputs, logits: logits if net.training else logits * torch.nan)

    with_network(monkeypatch, "naive_cnn", change)
    with pytest.raises(NotFiniteError, match="predictions after epoch 1 are not finite"):
        fitted(data, tmp_path, "naive_cnn")


def test_predicting_halves_too(data, tmp_path, monkeypatch):
    def change(net):
        def check(net, inputs):
            if not net.training and len(inputs[0]) > 2:
                out_of_memory()

        net.register_forward_pre_hook(check)

    whole = fitted(data, tmp_path / "whole", "naive_cnn")
    with_network(monkeypatch, "naive_cnn", change)
    little = fitted(data, tmp_path / "little", "naive_cnn")
    assert little.record["out_of_memory"] == {"repeated": [], "halved": []}
    little.assert_close(whole, 1e-6)
