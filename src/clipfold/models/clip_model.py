"""Use a fitted network on clips: rebuild it from its record, predict in batches."""

import hashlib
import importlib
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from clipfold.checks import require
from clipfold.models.accelerator import usable_device
from clipfold.models.device import Precision, Uncompiled, halving, place
from clipfold.models.inputs import as_input, class_probabilities
from clipfold.models.network import ClipNetwork, set_frozen
from clipfold.models.on_embeddings import OnEmbeddings
from clipfold.models.record import Record, trainings
from clipfold.models.shared_clips import SharedClips
from clipfold.models.stored_clips import check_clips, resized, scaled_boxes
from clipfold.models.weights import read_tensors, require_fit, without_memory
from clipfold.storage.files import Array, PathLike
from clipfold.storage.replace import replacing

if TYPE_CHECKING:  # it loads torchvision and half of PyTorch's compiler, which most networks do not need
    from clipfold.models.clip_encoder import ClipEncoder
    from clipfold.models.frame_network import FrameNetwork


class ClipModel:
    """A fitted network that predicts from clips, on the GPU if there is one.

    Args:
        record: Record of the fit, `fit.json`.
        path: Its weights, a safetensors file.
        encoders: Folder of the weights of frozen encoders, see `clipfold.models.load.load`.
        training: Which of several trainings, see `clipfold.training.seeds`.

    Attributes:
        classes: Class names, in the order of the probabilities.
        reads: What `predict_proba` needs.

    Raises:
        ValueError: The weights do not fit the architecture, or those of its frozen encoder have changed.
    """

    reads: frozenset[str] = frozenset({"clips"})

    def __init__(self, record: Record, path: PathLike, encoders: PathLike | None = None, training: int = 0) -> None:
        self.classes: list[str] = record["classes"]
        self._settings, self._batch = record["settings"], record["micro_batch"]
        self._batch = self._settings.get("predict_batch") or self._batch
        self._clips = self._settings.get("clips", 1)  # of each video
        named = {name: self._settings.get(name) for name in ("size", "frames")}
        for name, value in (named | {"clips": self._clips, "micro_batch": self._batch}).items():
            good = type(value) is int and value >= 1
            require(good, f"fit.json: {name}", value, "use a whole number, 1 or more")
        self._device = usable_device()
        self._precision = Precision(record["precision"], self._device)
        # Records of earlier versions have none; embeddings are those of one view.
        self._views = 1 if record["embedded"] else int(self._settings.get("views_at_test", 1))
        self._network, self._encoder = rebuild(record, path, encoders, training), None
        if record["embedded"]:
            from clipfold.models.frame_network import FrameNetwork

            assert isinstance(self._network, FrameNetwork)
            self._encoder = self._network.to(self._device)
            self._network = OnEmbeddings(self._encoder.temporal).eval()
            from clipfold.models.embed import precision_of

            self._encoder_precision = Precision(precision_of(record["encoder"]), self._device)
            # In a bundle, fits that share an encoder name one file, and share the embeddings.
            file = record["encoder"].get("file", id(self))
            self._encoder_name = file, self._settings["encoder"], self._encoder_precision.name
        # PyTorch multiplies matrices in another way if they need no gradient: the last bit depends on it.
        if self._settings.get("freeze") and not self._settings["unfreeze_at"]:
            set_frozen(self._network, True)
        if self._device.type == "cuda":  # as in training, and as in the embedding of clips
            tf32 = bool(self._settings.get("tf32", True))
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        mode = record.get("compile", "none")  # that of training is in the settings
        self._uncompiled = Uncompiled(mode)
        place(self._network, self._settings | {"checkpointing": False, "compile": mode}, self._device)

    @torch.inference_mode()
    def predict_proba(
        self,
        *,
        features: Any = None,
        clips: Array | SharedClips | None = None,
        boxes: Sequence[Any] | Array | None = None,
    ) -> Array:
        """Predict the class probabilities of videos.

        Args:
            features: Ignored.
            clips: Letterboxed clips, `uint8` (videos, frames, size, size, 3), at least as large and as long as the
                model's: frames are taken evenly and resized as in training.
            boxes: Content box of each clip, int (videos, 4): top, left, height, width in pixels of `clips`; by default
                the whole square. Only `variable_ar_cnn` uses them.

        Returns:
            float64 (videos, classes); rows sum to 1.

        Raises:
            ValueError: There are no clips, or they have another type, fewer frames or fewer pixels than the model's.
        """
        if clips is None:
            raise ValueError("clips is None: this model predicts from clips: pass an array of them")
        shared = SharedClips.of(clips)
        count = check_clips(shared.stored, self._settings["size"], self._settings["frames"], self._clips)
        scaled = scaled_boxes(boxes, shared.stored, self._settings["size"])
        if not count:
            return np.empty((0, len(self.classes)))
        return halving(partial(self._predict, shared, scaled), self._batch).astype(np.float64)

    @torch.inference_mode()
    def embed(self, clips: Array) -> Array | None:
        """Embed clips by the frozen encoder, see `clipfold.models.load.FittedModel`."""
        count = check_clips(clips, self._settings["size"], self._settings["frames"], self._clips)
        if self._encoder is None:
            return None
        encoder, shared, parts = self._encoder, SharedClips(clips), range(0, count, self._batch)
        found = [
            embed(encoder, self._inputs(shared, i, i + self._batch, clip), self._batch, self._encoder_precision).mean(
                dim=1
            )
            for clip in range(self._clips)
            for i in parts
        ]
        means = torch.cat(found).view(self._clips, count, -1).mean(dim=0) if found else torch.empty(0, 0)
        return means.cpu().numpy()

    def _inputs(self, clips: SharedClips, first: int, last: int, clip: int) -> Tensor:
        settings = self._settings
        made = resized(clips, first, last, settings["size"], settings["frames"], self._clips, clip)
        return torch.from_numpy(made).to(self._device)

    def _embeddings(self, clips: SharedClips, first: int, last: int, clip: int) -> Tensor:
        from clipfold.models.embed import at_once

        encoder = self._encoder
        assert encoder is not None
        most = min(last - first, at_once(self._device))
        what = self._encoder_name, self._settings["size"], self._settings["frames"], clip

        def embedded(_: Any) -> Tensor:
            return embed(encoder, self._inputs(clips, first, last, clip), most, self._encoder_precision)

        found: Tensor = clips.once(what, first, last, embedded)
        return found

    def _predict(self, clips: SharedClips, boxes: Array, batch: int) -> Array:
        found = []
        for first in range(0, len(boxes), batch):
            take = self._inputs if self._encoder is None else self._embeddings
            where = torch.from_numpy(boxes[first : first + batch]).to(self._device)
            with self._uncompiled.if_short(len(where)):
                each = [
                    class_probabilities(
                        self._network, take(clips, first, first + batch, clip), where, self._precision, self._views
                    )
                    for clip in range(self._clips)
                ]
            found.append(torch.stack(each).mean(dim=0))  # as `clipfold.training.predict`
        return torch.cat(found).cpu().numpy()


def embed(network: "FrameNetwork | ClipEncoder", clips: Tensor, batch: int, precision: Precision) -> Tensor:
    """Embed the frames of clips as `clipfold.models.embed` does, a few clips at a time; float32."""
    with precision.autocast():
        return torch.cat([network.embed(as_input(network, some)).float() for some in torch.split(clips, batch)])


def rebuild(record: Record, path: PathLike, encoders: PathLike | None = None, training: int = 0) -> ClipNetwork:
    """Rebuild the network of a fit from its record, ready to predict, on the CPU.

    If the fit used embeddings of a frozen encoder, the file has the weights of the temporal part alone, and the encoder
    is made again from its own weights.

    Args:
        record: Record of the fit, `fit.json`.
        path: Its weights, a safetensors file.
        encoders: Folder of the weights of frozen encoders, see `clipfold.models.load.load`.
        training: Which of several trainings, see `clipfold.training.seeds`.

    Raises:
        ValueError: The weights do not fit the architecture, or those of the frozen encoder have changed.
    """
    settings, embedded, module = record["settings"], record["embedded"], record["architecture"]
    file = encoder_file(record["encoder"], encoders) if embedded and encoders is not None else None
    if embedded and file is None:
        from clipfold.models.embed import check_encoder

        check_encoder(settings, record["encoder"])
    elif "weights" in settings:  # the file has all weights: those that training began with are not needed
        settings = settings | {"weights": "", "download": False}
    state = _of_training(read_tensors(Path(path)), record, training)
    if file is not None:
        state |= _of_encoder(read_tensors(file))
    if encoders is not None:  # a record from strangers may ask for more memory than there is: look before it is taken
        with without_memory():
            require_fit(importlib.import_module(module).build(settings, len(record["classes"])), state, Path(path))
    torch.manual_seed(record["seed"])
    network: ClipNetwork = importlib.import_module(module).build(settings, len(record["classes"]))
    if embedded and file is None:
        state |= _of_encoder(network.state_dict())
    require_fit(network, state, Path(path))
    network.load_state_dict(state)
    return network.eval()


def write_encoder(record: Record, path: PathLike, encoders: Path) -> dict[str, Any]:
    """Write the weights of a fit's frozen encoder for use elsewhere, once for all fits that share it.

    Args:
        record: Record of the fit, `fit.json`.
        path: The fit's own weights.
        encoders: Folder to write to.

    Returns:
        The record, which names the file.
    """
    name = write_state(_of_encoder(rebuild(record, path).state_dict()), encoders)
    return {**record, "encoder": {**record["encoder"], "file": name}}


def write_state(state: Mapping[str, Tensor], encoders: Path) -> str:
    """Write weights into a folder, named for their content and once only; returns the name of the file."""
    content = save({key: value.contiguous() for key, value in state.items()})
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    if not (encoders / name).exists():
        with replacing(encoders / name) as file:
            file.write(content)
    return name


def _of_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key.startswith("encoder.")}


def _of_training(state: dict[str, Tensor], record: Record, training: int) -> dict[str, Tensor]:
    prefix = f"{training}." if trainings(record) > 1 else ""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def encoder_file(facts: Mapping[str, Any], encoders: PathLike) -> Path:
    """Name the weights of a frozen encoder, which nobody may take from elsewhere or download for a bundle.

    Args:
        facts: What the record of a fit says of the encoder.
        encoders: Folder of the weights.

    Raises:
        ValueError: They name no file of that folder.
    """
    name = facts.get("file")
    good = isinstance(name, str) and re.fullmatch(r"[0-9a-f]{16}\.safetensors", name)
    require(bool(good), "fit.json: encoder.file", name, "it must be a file of the bundle")
    return Path(encoders, str(name))
