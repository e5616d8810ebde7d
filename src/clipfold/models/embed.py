"""Embeddings of frames by an encoder that never changes: computed once, shared by all folds and models that use it."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from clipfold.models.device import is_out_of_memory
from clipfold.models.encoders import encoder
from clipfold.models.frame_network import FrameNetwork
from clipfold.models.inputs import as_input
from clipfold.storage.files import ArrayWriter, PathLike, open_array

logger = logging.getLogger(__name__)


def embed_shard(
    clips: PathLike, output: PathLike, settings: Mapping[str, Any], seed: int, threads: int, batch: int = 4
) -> None:
    """Embed the frames of every clip of a shard.

    Args:
        clips: array, `uint8` of (clips, frames, size, size, 3).
        output: array, float32 of (clips, frames, width).
        settings: `encoder`, `size`, `weights`, `download`.
        seed: of random weights, where there are no others.
        threads: of the CPU.
        batch: clips at once; halved where memory runs out.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    frames = encoder(settings["encoder"], settings["size"], settings["weights"], settings["download"])
    network = FrameNetwork(frames, torch.nn.Identity()).to(device).eval()
    source = open_array(clips)
    done = 0
    with ArrayWriter(output, (source.shape[1], frames.width), np.float32) as writer, torch.inference_mode():
        while done < len(source):
            some = torch.from_numpy(np.array(source[done : done + batch])).to(device)
            try:
                embeddings = network.embed(as_input(network, some)).float().cpu().numpy()
            except (RuntimeError, MemoryError) as error:
                if batch == 1 or not is_out_of_memory(error):
                    raise
                batch //= 2
                continue
            for row in embeddings:
                writer.append(row)
            done += len(embeddings)
    logger.info("%d clips by %s: %d values a frame", len(source), settings["encoder"], frames.width)
