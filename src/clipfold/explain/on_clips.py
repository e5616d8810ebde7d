"""Show what a network looked at in its most confident errors and in some correct predictions."""

import copy
import logging
from collections.abc import Sequence
from functools import partial
from statistics import fmean

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from clipfold.clips.filmstrip import FRAMES, content, encode_filmstrip
from clipfold.clips.reader import Clips
from clipfold.evaluation.errors import add_outcome, confident_errors, some_hits
from clipfold.explain.attribution import BATCH, STEPS, attribute
from clipfold.explain.task import ExplainTask
from clipfold.models.accelerator import usable_device
from clipfold.models.clip_model import rebuild
from clipfold.models.device import halving
from clipfold.models.network import ClipNetwork
from clipfold.models.record import read_record, trainings
from clipfold.storage.files import Array, read_table, write_table
from clipfold.video.sampling import uniform

logger = logging.getLogger(__name__)

CONTROL_STEPS = 8
"""Points on the path for the control, whose places need less precision."""
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "fold": pa.int16(),
        "label": pa.string(),
        "predicted": pa.string(),
        "probability": pa.float64(),  # of the predicted class
        "wrong": pa.bool_(),
        "share": pa.float64(),  # sum of the attributions over the rise of the evidence; should be near 1
        # rank correlation of the evidence with that of the same network with shuffled weights: near 1, the picture
        # shows the clip and not what was learned (Adebayo et al. 2018)
        "control": pa.float64(),
        "frames": pa.int16(),
        "width": pa.int16(),  # of a frame, in pixels
        "height": pa.int16(),
        "picture": pa.binary(),  # WebP filmstrip: frames; their evidence; the same of shuffled weights
    }
)


def explain(task: ExplainTask) -> None:
    """Attribute a network's predictions to regions of the clips, each with the network of the fold that tested it.

    Args:
        task: The model; its output is a table of `SCHEMA`, errors first.
    """
    torch.set_num_threads(task.threads)
    device = usable_device()
    tested = pd.concat(
        [
            read_table(path).to_pandas().query("split == 'test'").assign(fold=i)
            for i, path in enumerate(task.predictions)
        ]
    )
    classes = [name.removeprefix("p_") for name in tested if name.startswith("p_")]
    rows = add_outcome(tested, classes)
    chosen = pd.concat([confident_errors(rows, task.errors), some_hits(rows, task.hits, task.seed)])
    files = {"clips": task.data["clips"], "index": task.data["index"], "augmented": (), "augmented_index": ()}
    settings = task.settings
    clips = Clips(files, settings["frames"], task.stored_size, settings["size"], settings.get("clips", 1))
    found, rebuilt = {}, dict[int, tuple[list[ClipNetwork], ClipNetwork]]()
    for row in chosen.sort_values("fold", kind="stable").to_dict("records"):
        fold = row["fold"]
        if fold not in rebuilt:
            rebuilt = {fold: _rebuilt(task, fold, device)}  # one at a time: networks are large
        networks, shuffled = rebuilt[fold]
        several, box = clips.gather([row["id"]] * clips.number, range(clips.number)), clips.boxes([row["id"]])[0]
        shown = torch.from_numpy(several).to(device), torch.from_numpy(box).to(device)
        target = classes.index(row["predicted"])
        each = [_attributed(network, *shown, target, STEPS) for network in networks]
        places, rise = torch.stack([own for own, _ in each]).mean(dim=0), fmean(rise for _, rise in each)
        share = places.sum().item() / rise if rise else float("nan")
        control, _ = _attributed(shuffled, *shown, target, CONTROL_STEPS)
        maps = [smoothed(content(each.cpu().numpy(), box)) for each in (places, control)]
        picture = _picture(content(np.concatenate(several), box), maps)
        size = {"frames": len(picture), "width": picture.shape[2], "height": picture.shape[1]}
        facts_of = {"share": share, "control": _alike(*maps), "picture": encode_filmstrip(picture)}
        found[row["id"], fold] = size | facts_of
        logger.info("%s: the attributions sum to %.0f %% of the evidence", row["id"], 100 * share)
    facts = chosen[["id", "fold", "label", "predicted", "probability", "wrong"]].to_dict("records")
    write_table(task.output, [row | found[row["id"], row["fold"]] for row in facts], SCHEMA)


def _attributed(network: ClipNetwork, clips: Tensor, box: Tensor, target: int, steps: int) -> tuple[Tensor, float]:
    """Attribute the sum of the evidence of all clips of a video to their frames, one after the other.

    Args:
        network: As for `attribute`, like `box`, `target` and `steps`.
        clips: The clips of a video as stored, `uint8` (clips, frames, size, size, 3).
    """
    each = [halving(partial(attribute, network, clip, box, target, steps), BATCH) for clip in clips]
    return torch.cat([places for places, _ in each]), sum(rise for _, rise in each)


def _rebuilt(task: ExplainTask, fold: int, device: torch.device) -> tuple[list[ClipNetwork], ClipNetwork]:
    """Rebuild the networks of a fold, of each training one, and one with shuffled weights."""
    record = read_record(task.records[fold])
    each = [rebuild(record, task.models[fold], training=k).to(device) for k in range(trainings(record))]
    networks = [network.requires_grad_(False) for network in each]
    return networks, with_shuffled_weights(networks[0], task.seed)


def with_shuffled_weights(network: ClipNetwork, seed: int) -> ClipNetwork:
    """Copy a network and shuffle the values within each of its weights, which keeps their scale."""
    other, generator = copy.deepcopy(network), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.copy_(weight.flatten()[order].reshape(weight.shape))
    return other


def _alike(one: Array, other: Array) -> float:
    """Compute the rank correlation of two maps; NaN if one is the same everywhere."""
    flat = pd.DataFrame({"one": one.ravel(), "other": other.ravel()}).rank()
    return float(flat.one.corr(flat.other))


def _picture(clip: Array, maps: Sequence[Array]) -> Array:
    """Build the frames of a filmstrip: the clip above, the same with each map lit up below.

    Args:
        clip: uint8 (frames, height, width, 3).
        maps: Evidence, smoothed, each float (frames, height, width).
    """
    shown = uniform(len(clip), min(len(clip), FRAMES))
    rows = [clip[shown]]
    for heat in (each[shown] for each in maps):
        top = np.quantile(heat, 0.995)
        bright = np.clip(heat / top, 0, 1) if top > 0 else heat
        rows.append(np.stack([_lit(*each) for each in zip(clip[shown], bright, strict=True)]))
    return np.concatenate(rows, axis=1)


def smoothed(places: Array) -> Array:
    """Smooth the evidence for the class within each frame, because single pixels are noise."""
    size = max(places.shape[1:]) / 24
    return np.stack([np.maximum(cv2.GaussianBlur(frame.astype(np.float32), (0, 0), size), 0) for frame in places])


def _lit(frame: Array, heat: Array) -> Array:
    grey = frame.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.6
    colour = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = 0.85 * heat[..., None]
    return np.asarray((1 - opacity) * grey + opacity * colour).astype(np.uint8)
