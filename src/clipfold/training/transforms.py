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
        scale: share of the content's edges that its crop keeps, float (batch,).
        centre: where the crop lies in the content, float (batch, 2), x and y in [-1, 1].
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
        The changed clips and their boxes. A crop is of the content and fills its box; around it all stays black.
    """
    size = clips.shape[-1]
    flip = drawn.flip[rows].to(clips.device)
    clips = torch.where(flip[:, None, None, None, None], clips.flip(-1), clips)
    mirrored = torch.stack([boxes[:, 0], size - boxes[:, 1] - boxes[:, 3], boxes[:, 2], boxes[:, 3]], dim=1)
    boxes = torch.where(flip[:, None], mirrored, boxes)
    if (drawn.scale[rows] < 1).any():
        clips = _crop(clips, boxes, drawn.scale[rows].to(clips.device), drawn.centre[rows].to(clips.device))
    return clips * drawn.gain[rows].to(clips.device)[:, :, None, None, None], boxes


def _crop(clips: Tensor, boxes: Tensor, scale: Tensor, centre: Tensor) -> Tensor:
    """Stretch a part of the content over the whole of it."""
    size = clips.shape[-1]
    first, extent = boxes[:, :2].flip(1), boxes[:, 2:].flip(1)  # x, y
    shift = ((2 * first + extent) / size - 1) * (1 - scale)[:, None] + centre * extent / size
    theta = torch.cat([torch.diag_embed(scale[:, None].expand(-1, 2)), shift[:, :, None]], dim=2)
    flat = clips.flatten(1, 2)
    grid = nn.functional.affine_grid(theta, list(flat.shape), align_corners=False)
    pixels = torch.arange(size, device=clips.device)
    in_x, in_y = ((pixels >= first[:, i : i + 1]) & (pixels < (first + extent)[:, i : i + 1]) for i in (0, 1))
    shown = (in_y[:, :, None] & in_x[:, None, :])[:, None]
    return (nn.functional.grid_sample(flat, grid, align_corners=False) * shown).view_as(clips)
