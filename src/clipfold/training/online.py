"""Augmentation on the device, drawn anew in each step, beside the stored copies that all models share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Drawn:
    """What happens to each clip of one step.

    Args:
        flip: whether it is mirrored, bool (batch,).
        scale: share of the edge that its crop keeps, float (batch,).
        centre: where the crop lies, float (batch, 2), x and y in [-1, 1].
        gain: factor of each colour, float (batch, 3).
        partner: with which clip of the step it is mixed, int64 (batch,).
        share: its own share of the mixture, float (batch,).
    """

    flip: Tensor
    scale: Tensor
    centre: Tensor
    gain: Tensor
    partner: Tensor
    share: Tensor


def draw(settings: Mapping[str, Any], clips: int, seed: int) -> Drawn:
    """Draw for a whole step on the CPU: the same on any device and for any size of micro-batch."""
    random = torch.Generator().manual_seed(seed)
    flip = torch.rand(clips, generator=random) < settings["flip"]
    scale = 1 - torch.rand(clips, generator=random) * (1 - settings["crop"])
    centre = (torch.rand(clips, 2, generator=random) * 2 - 1) * (1 - scale)[:, None]
    gain = 1 + (torch.rand(clips, 3, generator=random) * 2 - 1) * settings["jitter"]
    partner = torch.randperm(clips, generator=random)
    share = torch.ones(clips)
    if settings["mixup"]:
        beta = np.random.default_rng(seed).beta(settings["mixup"], settings["mixup"], clips)
        share = torch.from_numpy(beta).float()
    return Drawn(flip, scale, centre, gain, partner, share)


def wanted(settings: Mapping[str, Any]) -> bool:
    """Whether any change is asked for."""
    return bool(settings["flip"] or settings["crop"] < 1 or settings["jitter"] or settings["mixup"])


def change(clips: Tensor, boxes: Tensor, drawn: Drawn, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Flip, crop and recolour.

    Args:
        clips: float (batch, 3, frames, size, size) in [0, 1].
        boxes: of their content, int64 (batch, 4).
        drawn: for the whole step.
        rows: which of the step's clips these are.

    Returns:
        The changed clips and their boxes; black padding stays black, and a crop keeps the box of a mirrored clip.
    """
    size = clips.shape[-1]
    flip = drawn.flip[rows].to(clips.device)
    clips = torch.where(flip[:, None, None, None, None], clips.flip(-1), clips)
    mirrored = torch.stack([boxes[:, 0], size - boxes[:, 1] - boxes[:, 3], boxes[:, 2], boxes[:, 3]], dim=1)
    boxes = torch.where(flip[:, None], mirrored, boxes)
    scale, centre = drawn.scale[rows], drawn.centre[rows]
    if (scale < 1).any():
        zeros = torch.zeros_like(scale)
        rows_x = torch.stack([scale, zeros, centre[:, 0]], dim=1)
        rows_y = torch.stack([zeros, scale, centre[:, 1]], dim=1)
        theta = torch.stack([rows_x, rows_y], dim=1).to(clips.device)
        flat = clips.flatten(1, 2)
        grid = nn.functional.affine_grid(theta, list(flat.shape), align_corners=False).to(flat.dtype)
        clips = nn.functional.grid_sample(flat, grid, align_corners=False).view_as(clips)
    return clips * drawn.gain[rows].to(clips.device)[:, :, None, None, None], boxes
