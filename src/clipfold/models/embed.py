"""Compute the frame embeddings of a frozen encoder once, for all folds and models that use it."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from clipfold.models.accelerator import choose_device
from clipfold.models.clip_encoder import ClipEncoder, embedding_network, weights_file
from clipfold.models.clip_networks import CLIP_NETWORKS
from clipfold.models.device import is_out_of_memory, place
from clipfold.models.inputs import as_input
from clipfold.models.library_encoders import licence_of
from clipfold.storage.files import ArrayWriter, PathLike, open_array, write_json

if TYPE_CHECKING:
    from clipfold.clips.augment import Copies

logger = logging.getLogger(__name__)

_ON_CPU, _ON_GPU = 4, 32


def at_once(device: torch.device) -> int:
    """Return the clips per forward pass of an encoder. On a GPU, few clips would take as long as many."""
    return _ON_CPU if device.type == "cpu" else _ON_GPU


def embed_shard(
    clips: "PathLike | Copies",
    output: PathLike,
    facts: PathLike,
    settings: Mapping[str, Any],
    seed: int,
    threads: int,
    batch: int | None = None,
) -> None:
    """Embed the frames of every clip of a shard, or the clips as a whole.

    Args:
        clips: Array to read, `uint8` (clips, frames, size, size, 3), or augmented copies.
        output: Array to write, float32 (clips, frames, width); of networks on whole clips (clips, 1, width).
        facts: JSON to write: what `describe_encoder` says of the encoder.
        settings: See `embedding_network`.
        seed: Seed for random weights, used if `weights` is empty.
        threads: CPU threads to use.
        batch: Clips per forward pass; halved when memory runs out. By default `at_once`.
    """
    device = choose_device(_AS_IN_TRAINING, threads)
    torch.manual_seed(seed)
    batch = batch or at_once(device)
    network = embedding_network(settings)
    place(network, _AS_IN_TRAINING, device)
    source = open_array(clips) if isinstance(clips, str | Path) else clips
    done, last = 0, torch.empty(0)
    rows = 1 if isinstance(network, ClipEncoder) else source.shape[1]
    with ArrayWriter(output, (rows, network.width), np.float32) as writer, torch.inference_mode():
        while done < len(source):
            some = torch.from_numpy(np.array(source[done : done + batch])).to(device)
            try:
                embeddings = network.embed(as_input(network, some)).float()
            except (RuntimeError, MemoryError) as error:
                if batch == 1 or not is_out_of_memory(error):
                    raise
                batch //= 2
                continue
            _append(writer, last)  # written while a GPU computes the next ones
            last = embeddings
            done += len(embeddings)
        _append(writer, last)
    write_json(facts, describe_encoder(settings) | {"download": settings["download"], "seed": seed})
    logger.info("%d clips by %s: %d values a frame", len(source), settings["encoder"], network.width)


def _append(writer: ArrayWriter, embeddings: torch.Tensor) -> None:
    for row in embeddings.cpu().numpy():
        writer.append(row)


_AS_IN_TRAINING = {
    "device": "auto",
    "deterministic": True,
    "tf32": True,
    "channels_last": True,
    "checkpointing": False,
    "compile": "none",
}


def describe_encoder(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the encoder of a model, with the SHA-256 digest of its weights file.

    Args:
        settings: `encoder`, `size`, `weights` of the model, and `frames` if it takes whole clips. Nothing is
            downloaded.

    Returns:
        These settings; `sha256`, None for random weights, or with a warning if the file is missing; and the `licence`
        that a library states for its published weights.
    """
    try:
        digest = _digest(settings, download=False)
    except ValueError as error:  # the embeddings may have been computed on another machine
        logger.warning("the digest of the encoder's weights is not recorded: %s", error)
        digest = None
    kept = ("encoder", "size", "weights", *(["frames"] if settings["encoder"] in CLIP_NETWORKS else []))
    found = {name: settings[name] for name in kept} | {"sha256": digest}
    if settings["weights"] == "pretrained" and "/" in settings["encoder"]:
        found["licence"] = licence_of(settings["encoder"])
    return found


def check_encoder(settings: Mapping[str, Any], recorded: Mapping[str, Any]) -> None:
    """Check that the weights of an encoder are those that a model was trained with.

    Args:
        settings: Settings of the model.
        recorded: Result of `describe_encoder` at training time.

    Raises:
        ValueError: The file is missing or has changed.
    """
    found = _digest(settings, settings["download"])
    if recorded["sha256"] not in (None, found):
        raise ValueError(
            f"weights is {settings['weights']!r}: the file has changed since the model was trained (its SHA-256 is "
            f"{found}, not {recorded['sha256']}): restore the file, or train the model again"
        )


def _digest(settings: Mapping[str, Any], download: bool) -> str | None:
    path = weights_file(settings, download)
    if path is None:
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
