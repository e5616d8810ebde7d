"""What a network looked at: its most confident errors, and some clips that it got right."""

import importlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from safetensors.torch import load_file

from clipfold.clips.filmstrip import content, encode_filmstrip, spread_evenly
from clipfold.clips.reader import Clips
from clipfold.evaluation.errors import add_outcome, confident_errors, some_hits
from clipfold.explain.attribution import attribute
from clipfold.models.network import ClipNetwork
from clipfold.storage.files import Array, PathLike, read_table, write_table

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "fold": pa.int16(),
        "label": pa.string(),
        "predicted": pa.string(),
        "probability": pa.float64(),  # of the predicted class
        "wrong": pa.bool_(),
        "share": pa.float64(),  # of the rise of the evidence that the attributions add up to: it should be near 1
        "frames": pa.int16(),
        "width": pa.int16(),  # of a frame, in pixels
        "height": pa.int16(),
        "picture": pa.binary(),  # WebP: frames side by side, above as they are, below with the evidence on them
    }
)


def explain(
    settings: Mapping[str, Any],
    data: Mapping[str, Sequence[PathLike]],
    models: Sequence[PathLike],
    predictions: Sequence[PathLike],
    records: Sequence[PathLike],
    output: PathLike,
    seed: int,
    threads: int,
    module: str,
    stored_size: int,
    errors: int,
    hits: int,
) -> None:
    """Attribute the predictions of a network to places in its clips, each by the fold that tested the video.

    Args:
        settings: of the model.
        data: `clips` and `index`: files of all shards, at the model's size.
        models: weights of every fold.
        predictions: of every fold.
        records: `fit.json` of every fold.
        output: table of `SCHEMA`, errors first.
        seed: of which hits are drawn, and of the random weights of an encoder that is never trained.
        threads: of the CPU.
        module: of the architecture.
        stored_size: edge in pixels that clips were first stored at.
        errors: how many at most.
        hits: how many at most.
    """
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tested = pd.concat(
        [read_table(path).to_pandas().query("split == 'test'").assign(fold=i) for i, path in enumerate(predictions)]
    )
    classes = [name.removeprefix("p_") for name in tested if name.startswith("p_")]
    rows = add_outcome(tested, classes)
    chosen = pd.concat([confident_errors(rows, errors), some_hits(rows, hits, seed)])
    files = {"clips": data["clips"], "index": data["index"], "augmented": (), "augmented_index": ()}
    clips = Clips(files, settings["frames"], stored_size, settings["size"])
    found, network, built = {}, None, None
    for row in chosen.sort_values("fold", kind="stable").to_dict("records"):
        if network is None or built != row["fold"]:
            network, built = rebuild(module, settings, len(classes), models[row["fold"]], seed).to(device), row["fold"]
        clip, box = clips.gather([row["id"]])[0], clips.boxes([row["id"]])[0]
        given, where = (torch.from_numpy(part).to(device) for part in (clip, box))
        places, rise = attribute(network, given, where, classes.index(row["predicted"]))
        share = places.sum().item() / rise if rise else float("nan")
        picture = _picture(content(clip, box), content(places.cpu().numpy(), box))
        size = {"frames": len(picture), "width": picture.shape[2], "height": picture.shape[1]}
        found[row["id"], row["fold"]] = size | {"share": share, "picture": encode_filmstrip(picture)}
        logger.info("%s: attributions add up to %.0f %% of the evidence", row["id"], 100 * share)
    facts = chosen[["id", "fold", "label", "predicted", "probability", "wrong"]].to_dict("records")
    write_table(output, [row | found[row["id"], row["fold"]] for row in facts], SCHEMA)


def rebuild(module: str, settings: Mapping[str, Any], classes: int, path: PathLike, seed: int) -> ClipNetwork:
    """Make the network of a fit, ready to predict.

    Where a frozen encoder's embeddings were computed once, the file has the temporal part alone; the encoder is made as
    it was for them.
    """
    stored = load_file(path)
    embedded = all(name.startswith("temporal.") for name in stored)
    known = settings if embedded or "weights" not in settings else {**settings, "weights": "", "download": False}
    torch.manual_seed(seed)
    network: ClipNetwork = importlib.import_module(module).build(known, classes)
    missing, unexpected = network.load_state_dict(stored, strict=False)
    strange = [*unexpected, *(name for name in missing if not (embedded and name.startswith("encoder.")))]
    if strange:
        raise ValueError(f"{path} has other weights than {module}, such as {strange[0]}: train the model again")
    return network.eval().requires_grad_(False)


def _picture(clip: Array, places: Array) -> Array:
    """Frames of a strip: the clip above, the same with what speaks for the prediction lit up below.

    Args:
        clip: uint8 (frames, height, width, 3).
        places: attributions, float (frames, height, width).
    """
    shown = spread_evenly(len(clip))
    heat = smoothed(places)[shown]
    top = np.quantile(heat, 0.995)
    heat = np.clip(heat / top, 0, 1) if top > 0 else heat
    lit = [_lit(frame, part) for frame, part in zip(clip[shown], heat, strict=True)]
    return np.concatenate([clip[shown], np.stack(lit)], axis=1)


def smoothed(places: Array) -> Array:
    """What speaks for the class, frame by frame: single pixels are noise, their surroundings are not."""
    size = max(places.shape[1:]) / 24
    return np.stack([np.maximum(cv2.GaussianBlur(frame.astype(np.float32), (0, 0), size), 0) for frame in places])


def _lit(frame: Array, heat: Array) -> Array:
    grey = frame.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.6
    colour = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = 0.85 * heat[..., None]
    return np.asarray((1 - opacity) * grey + opacity * colour).astype(np.uint8)
