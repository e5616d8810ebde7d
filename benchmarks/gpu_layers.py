"""The part of `gpu.py` that times the depthwise convolutions of X3D."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from gpu_steps import Note, Step, cuda, measured
from torch import Tensor, nn


def depthwise(name: str, dry: bool, note: Note) -> None:
    """Time the depthwise convolutions of X3D by layout and type, beside three 2-D ones that replace them."""
    device = "cuda" if cuda() else "cpu"
    shapes = [(8, 3, 8)] if dry else [(54, 13, 40), (108, 13, 20), (216, 13, 10), (432, 13, 5)]
    for dtype in (torch.float32, torch.bfloat16):
        for channels, frames, edge in shapes:
            weight = torch.randn(channels, 1, 3, 3, 3, device=device, dtype=dtype)
            clips = torch.randn(8, channels, frames, edge, edge, device=device, dtype=dtype)
            ways = {
                "channels last": _direct(clips, weight, torch.channels_last_3d),
                "usual layout": _direct(clips, weight, torch.contiguous_format),
                "as pictures": _as_pictures(clips, weight),
            }
            native = hasattr(torch.backends.cudnn, "depthwise_kernel")  # since PyTorch 2.15
            ways |= {"channels last, native": ways["channels last"]} if native else {}
            floor = 5 * clips.numel() * clips.element_size() / 2.8e12  # s, to read and write an H100's memory
            for way, step in ways.items():
                with contextlib.ExitStack() as stack:
                    if way.endswith("native"):
                        options: Any = {"enabled": True, "benchmark": True, "depthwise_kernel": "native"}
                        stack.enter_context(torch.backends.cudnn.flags(**options))
                    facts = measured(lambda step=step: step, 1 if dry else 10)  # type: ignore[misc]
                facts |= {"over_floor": round(facts["ms"] / 1e3 / floor, 1)} if "ms" in facts else {}
                note(f"{dtype} {channels} x {frames} x {edge} {way}", facts)


def _direct(clips: Tensor, weight: Tensor, layout: torch.memory_format) -> Step:
    a, w = (tensor.to(memory_format=layout).requires_grad_() for tensor in (clips, weight.clone()))

    def step() -> None:
        nn.functional.conv3d(a, w, padding=1, groups=a.shape[1]).sum().backward()  # type: ignore[no-untyped-call]

    return step


def _as_pictures(clips: Tensor, weight: Tensor) -> Step:
    """Convolve pictures by each of the three taps in time, and add what they give to the frames around."""
    b, c, t, h, w = clips.shape
    pictures = clips.transpose(1, 2).reshape(b * t, c, h, w).to(memory_format=torch.channels_last).requires_grad_()
    taps = [weight[:, :, i].contiguous().requires_grad_() for i in range(3)]

    def step() -> None:
        before, same, after = (
            nn.functional.conv2d(pictures, tap, padding=1, groups=c).view(b, t, c, h, w) for tap in taps
        )
        same[:, 1:] += before[:, :-1]
        same[:, :-1] += after[:, 1:]
        same.sum().backward()  # type: ignore[no-untyped-call]

    return step
