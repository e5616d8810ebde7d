"""Compute the frame embeddings of a frozen encoder once, for all folds and models that use it."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from clipfold.models.accelerator import choose_device
from clipfold.models.clip_encoder import ClipEncoder, embedding_network, weights_files
from clipfold.models.clip_networks import HUB_NETWORKS, sees_clips
from clipfold.models.device import Precision, is_out_of_memory, place
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.hub_folder import read_folder
from clipfold.models.inputs import as_input
from clipfold.models.library_encoders import licence_of
from clipfold.storage.files import Array, ArrayWriter, PathLike, open_array, write_json
from clipfold.storage.hashing import key_of
from clipfold.storage.records import parse_json, read_or_ignore

if TYPE_CHECKING:
    from clipfold.clips.augment import Copies

logger = logging.getLogger(__name__)

_ON_CPU, _ON_GPU = 4, 32


def at_once(device: torch.device) -> int:
    """Return the clips per forward pass of an encoder. On a GPU, few clips would take as long as many."""
    return _ON_CPU if device.type == "cpu" else _ON_GPU


def embed_shards(
    shards: Mapping[PathLike, Sequence[PathLike]],
    facts: PathLike,
    settings: Mapping[str, Any],
    seed: int,
    threads: int,
    code: str = "",
    batch: int | None = None,
) -> None:
    """Embed the frames of every clip of some shards, or the clips as a whole.

    A shard's array is written whole, and a file beside it says what it was made from. So a job that is killed loses
    one shard, and one that runs again embeds only the shards that changed.

    Args:
        shards: Array to write, float32 (videos, frames, width), of networks on whole clips (videos, clips, width) ->
            files to read: the clips of videos, `uint8` (videos, frames, size, size, 3); or what
            `clipfold.clips.augment.Copies` takes.
        facts: JSON to write: what `describe_encoder` says of the encoder.
        settings: See `embedding_network`; and `precision` of the passes.
        seed: Seed for random weights, used if `weights` is empty.
        threads: CPU threads to use.
        code: Fingerprint of the code: arrays of other code are made again.
        batch: Clips per forward pass; halved when memory runs out. By default `at_once`.
    """
    weights_files(settings, settings["download"])  # downloaded, if they may be, before they are described
    described = describe_encoder(settings) | {"download": settings["download"], "seed": seed}
    keys = {output: {"key": key_of([described, code, torch.__version__], files)} for output, files in shards.items()}
    missing = [output for output in shards if _made_from(output) != keys[output]]
    logger.info("%d of %d shards are embedded", len(shards) - len(missing), len(shards))
    if missing:
        device = choose_device(_AS_IN_TRAINING, threads)
        torch.manual_seed(seed)
        network = embedding_network(settings)
        place(network, _AS_IN_TRAINING, device)
        precision = Precision(precision_of(settings), device)
        embedder = _Embedder(network, device, precision, batch or at_once(device))
    for output in missing:
        _key_file(output).unlink(missing_ok=True)
        clips = _opened(shards[output], settings)
        embedder.write(clips, output)
        write_json(_key_file(output), keys[output])
        logger.info("%s: %d clips by %s, %d values a frame", output, len(clips), settings["encoder"], network.width)
    write_json(facts, described)


def _key_file(output: PathLike) -> Path:
    return Path(output).with_suffix(".key.json")


def _made_from(output: PathLike) -> Any:
    """Read what an array was made from; None if there is no such array."""
    return read_or_ignore(_key_file(output), parse_json) if Path(output).is_file() else None


def _opened(files: Sequence[PathLike], settings: Mapping[str, Any]) -> "Array | Copies":
    if len(files) == 1:
        return open_array(files[0])
    from clipfold.clips.augment import Copies  # OpenCV: only for this

    clips, index, drawn = files
    return Copies(clips, index, drawn, settings["size"], settings.get("clips", 1))


class _Embedder:
    """An encoder on its device.

    Args:
        network: The encoder.
        device: Where it is.
        precision: Precision of the forward passes.
        batch: Clips per forward pass; halved when memory runs out.
    """

    def __init__(
        self, network: FrameNetwork | ClipEncoder, device: torch.device, precision: Precision, batch: int
    ) -> None:
        self._network, self._device, self._precision, self._batch = network, device, precision, batch

    def write(self, clips: "Array | Copies", output: PathLike) -> None:
        """Write the embeddings of clips as an array."""
        rows = self._network.clips if isinstance(self._network, ClipEncoder) else clips.shape[1]
        last = torch.empty(0)
        with ArrayWriter(output, (rows, self._network.width), np.float32) as writer, ThreadPoolExecutor(1) as reader:
            for embeddings in self._embed(clips, reader):
                _append(writer, last)  # written while a GPU computes the next ones
                last = embeddings
            _append(writer, last)

    def _embed(self, clips: "Array | Copies", reader: ThreadPoolExecutor) -> Iterator[Tensor]:
        """Yield embeddings batch by batch, and read the next clips meanwhile."""
        step = self._batch
        upcoming = reader.submit(_read, clips, 0, step)
        for start in range(0, len(clips), step):
            left = upcoming.result()
            upcoming = reader.submit(_read, clips, start + step, step)
            while len(left):
                try:
                    yield self._forward(left[: self._batch])
                except (RuntimeError, MemoryError) as error:
                    if self._batch == 1 or not is_out_of_memory(error):
                        raise
                    self._batch //= 2
                    continue
                left = left[self._batch :]

    @torch.inference_mode()
    def _forward(self, clips: Tensor) -> Tensor:
        with self._precision.autocast():
            return self._network.embed(as_input(self._network, clips.to(self._device))).float()


def _read(clips: "Array | Copies", start: int, count: int) -> Tensor:
    return torch.from_numpy(np.array(clips[start : start + count]))


def _append(writer: ArrayWriter, embeddings: Tensor) -> None:
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


def precision_of(settings: Mapping[str, Any]) -> str:
    """Return the precision of an encoder; descriptions by earlier versions have none.

    Of a network with `precision: auto`, whose shards may be embedded on different devices, it is that of all of them.
    """
    found = str(settings.get("precision", "fp32"))
    return "fp32" if found == "auto" else found


def describe_encoder(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the encoder of a model, with the SHA-256 digest of its weights file.

    Args:
        settings: `encoder`, `size`, `weights`, `precision` of the model, `frames` if it takes whole clips, and `clips`
            if a video has several. Nothing is downloaded.

    Returns:
        These settings; `sha256`, None for random weights, or with a warning if the file is missing; the `licence` that
        a library or a model's page states; and of a model in a folder what it is, `model`.

    Raises:
        ValueError: The folder is not that of such a model.
    """
    try:
        digest = _digest(settings, download=False)
    except ValueError as error:  # the embeddings may have been computed on another machine
        logger.warning("the digest of the encoder's weights is not recorded: %s", error)
        digest = None
    kept = ("encoder", "size", "weights", *(["frames"] if sees_clips(settings["encoder"]) else []), "clips")
    found = {name: settings[name] for name in kept if name in settings}
    found |= {"precision": precision_of(settings), "sha256": digest}
    if settings["weights"] == "pretrained" and "/" in settings["encoder"]:
        found["licence"] = licence_of(settings["encoder"])
    if settings["encoder"] in HUB_NETWORKS:
        model = read_folder(settings)
        found |= {"licence": model.pop("licence"), "model": model}
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
    paths, digest = weights_files(settings, download), hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest() if paths else None
