"""A frozen encoder by itself, for models that learn from its embeddings as features."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipfold.checks import require
from clipfold.clips.resize import resize_clip
from clipfold.features.embedding import pooled
from clipfold.models.accelerator import usable_device
from clipfold.models.clip_encoder import embedding_network
from clipfold.models.clip_model import embed, encoder_file, write_state
from clipfold.models.device import Precision, halving
from clipfold.models.embed import at_once, check_encoder, precision_of
from clipfold.models.weights import read_tensors, require_fit, without_memory
from clipfold.storage.files import Array


def write_frozen(facts: Mapping[str, Any], encoders: Path) -> dict[str, Any]:
    """Write the weights of an encoder into a bundle, once for all fits that share it.

    Args:
        facts: What the record of a fit says of the encoder, see `clipfold.models.embed.describe_encoder`.
        encoders: Folder to write to.

    Returns:
        The facts, which name the file, and its weights without their place, which is nobody's business.

    Raises:
        ValueError: The weights have changed since the model was trained.
    """
    check_encoder(facts, facts)
    torch.manual_seed(facts["seed"])
    network = embedding_network(facts)
    named = {"weights": Path(facts["weights"]).name} if facts["weights"] else {}
    return {**facts, **named, "file": write_state(network.encoder.state_dict(), encoders)}


class Frozen:
    """An encoder of a bundle.

    Args:
        facts: Result of `write_frozen`, perhaps by a stranger.
        encoders: Folder of the weights.

    Raises:
        ValueError: The weights are missing, or not those of the encoder.
    """

    def __init__(self, facts: Mapping[str, Any], encoders: Path) -> None:
        self._size: int = facts["size"]
        self._clips: int = facts.get("clips", 1)
        numbers = {"size": self._size, "frames": facts.get("frames", 1), "clips": self._clips}
        for name, value in numbers.items():
            require(type(value) is int and value > 0, f"encoder: {name}", value, "use a whole number, 1 or more")
        self._frames: int | None = facts.get("frames")
        path = encoder_file(facts, encoders)
        state = read_tensors(path)
        settings = {**facts, "weights": "", "download": False}
        with without_memory():  # it may ask for more memory than there is: look before it is taken
            require_fit(embedding_network(settings).encoder, state, path)
        self._network = embedding_network(settings)
        self._network.encoder.load_state_dict(state)
        self._device = usable_device()
        self._precision = Precision(precision_of(facts), self._device)
        self._network.to(self._device)

    @torch.inference_mode()
    def features(self, clips: Array) -> Array:
        """Embed all frames of clips, or the clips as a whole, and summarise them over time.

        Args:
            clips: Letterboxed clips, `uint8` (videos, frames, size, size, 3).

        Returns:
            float32 (videos, columns), see `clipfold.features.embedding.pooled`.
        """
        require(clips.shape[2] >= self._size, "clips", f"of {clips.shape[2]} pixels", f"use {self._size} or more")
        frames = clips.shape[1] if self._frames is None else self._frames * self._clips
        right = frames == clips.shape[1] and frames % self._clips == 0
        require(right, "clips", f"of {clips.shape[1]} frames", f"use {frames}, as the encoder has learned from")
        return pooled(halving(partial(self._embed, clips), at_once(self._device)), self._clips)

    def _embed(self, clips: Array, batch: int) -> Array:
        parts = (clips[i : i + batch] for i in range(0, len(clips), batch))
        resized = (torch.from_numpy(np.stack([resize_clip(clip, self._size) for clip in part])) for part in parts)
        made = (embed(self._network, part.to(self._device), batch, self._precision).cpu() for part in resized)
        return torch.cat([*made]).numpy()
