"""Augmentation on the device, drawn anew in each step, in addition to the stored augmented copies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Drawn:
    """The random parameters for the clips of one step.

    Args:
        flip: Mirror the clip, bool (batch,).
        scale: Share of the content's width and height that the crop keeps, float (batch,).
        centre: Centre of the crop within the content, float (batch, 2), x and y in [-1, 1].
        gain: Factor of each colour channel, float (batch, 3).
        partner: Index of the clip in the step to mix with, int64 (batch,).
        share: The clip's own share of the mixture, float (batch,).
        crops: Whether any clip is cropped; known without asking the device.
    """

    flip: Tensor
    scale: Tensor
    centre: Tensor
    gain: Tensor
    partner: Tensor
    share: Tensor
    crops: bool = True

    def of(self, rows: slice | Tensor) -> "Drawn":
        """Select the parameters of some clips of the step."""
        flip, scale, centre, gain, partner, share = (values[rows] for values in self.tensors())
        return Drawn(flip, scale, centre, gain, partner, share, self.crops)

    def clone(self) -> "Drawn":
        """Copy the parameters."""
        flip, scale, centre, gain, partner, share = (values.clone() for values in self.tensors())
        return Drawn(flip, scale, centre, gain, partner, share, self.crops)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return all parameters, in the order of the fields."""
        return self.flip, self.scale, self.centre, self.gain, self.partner, self.share


_AHEAD = 500  # steps: a few hundred kB


def draw(settings: Mapping[str, Any], clips: int, seed: int) -> Drawn:
    """Draw the parameters of a whole step on the CPU: the same on any device and for any micro-batch size."""
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
    return Drawn(flip, scale, centre, gain, partner, share, settings["crop"] < 1)


def draw_ahead(
    settings: Mapping[str, Any], sizes: Sequence[int], seeds: Sequence[int], device: torch.device
) -> Iterator[Drawn]:
    """Draw the parameters of many steps as `draw` does, and copy them to the device hundreds of steps at a time.

    Args:
        settings: As for `draw`.
        sizes: Number of clips of each step.
        seeds: Seed of each step.
        device: Device of the clips.

    Yields:
        The parameters of each step, on the device.
    """
    for first in range(0, len(sizes), _AHEAD):
        some = slice(first, first + _AHEAD)
        steps = [draw(settings, clips, seed) for clips, seed in zip(sizes[some], seeds[some], strict=True)]
        flip, scale, centre, gain, partner, share = (
            torch.cat(values).to(device, non_blocking=True)
            for values in zip(*(step.tensors() for step in steps), strict=True)
        )
        together = Drawn(flip, scale, centre, gain, partner, share, settings["crop"] < 1)
        ends = np.cumsum(sizes[some]).tolist()
        yield from (together.of(slice(end - clips, end)) for clips, end in zip(sizes[some], ends, strict=True))


def wanted(settings: Mapping[str, Any]) -> bool:
    """Tell whether the settings ask for any augmentation on the device."""
    return bool(settings["flip"] or settings["crop"] < 1 or settings["jitter"] or settings["mixup"])


def change(clips: Tensor, boxes: Tensor, drawn: Drawn) -> tuple[Tensor, Tensor]:
    """Flip, crop and recolour clips.

    Args:
        clips: float (batch, 3, frames, size, size) in [0, 1].
        boxes: Their content boxes, int64 (batch, 4).
        drawn: Their parameters, on their device.

    Returns:
        The changed clips and their boxes. A crop of the content fills its box; the padding stays black.
    """
    size = clips.shape[-1]
    flip = drawn.flip
    clips = torch.where(flip[:, None, None, None, None], clips.flip(-1), clips)
    mirrored = torch.stack([boxes[:, 0], size - boxes[:, 1] - boxes[:, 3], boxes[:, 2], boxes[:, 3]], dim=1)
    boxes = torch.where(flip[:, None], mirrored, boxes)
    if drawn.crops:
        clips = _crop(clips, boxes, drawn.scale, drawn.centre)
    return clips * drawn.gain[:, :, None, None, None], boxes


def _crop(clips: Tensor, boxes: Tensor, scale: Tensor, centre: Tensor) -> Tensor:
    """Stretch a region of the content over the whole content box."""
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
