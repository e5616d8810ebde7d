"""Training a network on clips."""

import importlib
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor, nn

from clipfold.store import Array, PathLike, replacing
from clipfold.training.clips import Clips
from clipfold.training.fold import read_fold, write_predictions, write_record

logger = logging.getLogger(__name__)


def fit(
    module: str,
    settings: Mapping[str, Any],
    data: Mapping[str, Sequence[PathLike]],
    splits: PathLike,
    fold: int,
    outputs: Mapping[str, PathLike],
    seed: int,
    threads: int,
) -> None:
    """Train one model on one fold.

    The epoch with the lowest validation loss is kept, and the test part predicted once, with that one, at the end.

    Args:
        module: of the architecture; its `build(settings, classes)` gives a network that maps float clips of
            (batch, 3, frames, size, size), normalised, to logits of (batch, classes).
        settings: of the model.
        data: `clips`, `index`, `copies`, `copies_index`: files of all shards, at the model's size.
        splits: table of the folds.
        fold: which of them.
        outputs: `model`, `history`, `predictions`, `record`.
        seed: of weights, order and dropout.
        threads: of the CPU.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    started = time.monotonic()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parts = read_fold(splits, fold)
    clips = Clips(data["clips"], data["index"], data["copies"], data["copies_index"], settings["frames"])
    network = importlib.import_module(module).build(settings, len(parts.classes))
    # Clips are stored with channels last; weights in another layout would have each convolution reorder them.
    network.to(device, memory_format=torch.channels_last_3d)
    trainer = _Trainer(network, settings, parts.targets("train"), len(parts.classes), device, seed)
    history: list[dict[str, float]] = []
    best: tuple[float, int, dict[str, Tensor]] = (math.inf, 0, {})
    train_ids, val_ids, val_targets = parts.ids("train"), parts.ids("val"), parts.targets("val")
    for epoch in range(1, settings["epochs"] + 1):
        train_loss = trainer.epoch(clips, train_ids, parts.targets("train"))
        val = predict(network, clips, val_ids, settings["batch_size"], device)
        val_loss = float(-np.log(np.clip(val[np.arange(len(val)), val_targets], 1e-7, 1)).mean())
        accuracy = float((val.argmax(1) == val_targets).mean())
        row = {"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss, "val_accuracy": accuracy}
        history.append(row | {"learning_rate": trainer.rate, "seconds": time.monotonic() - started})
        logger.info("epoch %d of %d: %s", epoch, settings["epochs"], {k: round(v, 4) for k, v in row.items()})
        if val_loss < best[0]:
            best = (val_loss, epoch, {k: v.detach().clone() for k, v in network.state_dict().items()})
        elif epoch - best[1] >= settings["patience"]:
            break
    network.load_state_dict(best[2])
    probabilities = {
        "val": predict(network, clips, val_ids, settings["batch_size"], device),
        "test": predict(network, clips, parts.ids("test"), settings["batch_size"], device),
    }
    with replacing(outputs["model"]) as file:
        file.write(save({name: tensor.contiguous().cpu() for name, tensor in best[2].items()}))
    with replacing(outputs["history"]) as file:
        pd.DataFrame(history).to_csv(file, index=False)
    write_predictions(outputs["predictions"], parts, probabilities)
    write_record(
        outputs["record"],
        parts,
        settings,
        parameters=sum(p.numel() for p in network.parameters()),
        best_epoch=best[1],
        device=str(device),
        seconds=time.monotonic() - started,
    )


class _Trainer:
    """Epochs of AdamW with warm-up and cosine decay per step."""

    def __init__(
        self,
        network: nn.Module,
        settings: Mapping[str, Any],
        targets: Array,
        classes: int,
        device: torch.device,
        seed: int,
    ) -> None:
        self._network = network
        self._settings = settings
        self._device = device
        self._random = np.random.default_rng(seed)
        weight = len(targets) / (classes * np.bincount(targets, minlength=classes).clip(1))
        self._loss = nn.CrossEntropyLoss(torch.tensor(weight, dtype=torch.float32, device=device), reduction="sum")
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
        )
        steps = settings["epochs"] * math.ceil(len(targets) / (settings["batch_size"] * settings["accumulate"]))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: warmup_cosine(step, steps, round(settings["warmup"] * steps))
        )

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def epoch(self, clips: Clips, ids: Sequence[str], targets: Array) -> float:
        """Show each video once, in a version drawn from itself and its copies; returns the mean loss."""
        self._network.train()
        micro, effective = self._settings["batch_size"], self._settings["batch_size"] * self._settings["accumulate"]
        order = self._random.permutation(len(ids))
        total = 0.0
        for first in range(0, len(order), effective):
            step = order[first : first + effective]
            for start in range(0, len(step), micro):
                part = step[start : start + micro]
                versions = [int(self._random.integers(clips.versions(ids[i]))) for i in part]
                batch = normalise(clips.gather([ids[i] for i in part], versions), self._device)
                loss = self._loss(class_logits(self._network(batch)), torch.from_numpy(targets[part]).to(self._device))
                (loss / len(step)).backward()
                total += loss.item()
            if not math.isfinite(total):
                raise FloatingPointError(
                    f"the loss is {total} at learning rate {self.rate:g}: use a lower learning_rate"
                )
            self._optimizer.step()
            self._optimizer.zero_grad()
            self._schedule.step()
        return total / len(ids)


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    """Factor of the learning rate: linear to 1 over `warmup` steps, then a half cosine to 0 (Loshchilov & Hutter 2017).

    >>> [round(warmup_cosine(s, 10, 2), 2) for s in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def normalise(clips: Array, device: torch.device) -> Tensor:
    """Move clips to the device as they are and normalise them there.

    Args:
        clips: `uint8` of (batch, frames, size, size, 3).
        device: where the result is.

    Returns:
        Float of (batch, 3, frames, size, size), about -2 to 2.
    """
    moved = torch.from_numpy(clips).to(device).permute(0, 4, 1, 2, 3)
    return (moved.float() / 255 - 0.45) / 0.225


def class_logits(logits: Tensor) -> Tensor:
    """Logits of every class: a lone one is that of the second of two classes, against 0."""
    return nn.functional.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


@torch.inference_mode()
def predict(network: nn.Module, clips: Clips, ids: Sequence[str], batch_size: int, device: torch.device) -> Array:
    """Class probabilities of videos, float32 of (ids, classes)."""
    network.eval()
    batches = (clips.gather(ids[i : i + batch_size]) for i in range(0, len(ids), batch_size))
    logits = [class_logits(network(normalise(batch, device))) for batch in batches]
    return torch.cat(logits).softmax(dim=1).cpu().numpy()
