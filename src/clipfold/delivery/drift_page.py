"""Write a comparison with the training data as a page; the template `drift.html` holds the text."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
from markupsafe import Markup

from clipfold.delivery import drift as limits
from clipfold.delivery.drift import Drift, Item
from clipfold.report.render import render
from clipfold.storage.files import PathLike
from clipfold.storage.replace import replacing

_WIDTH, _HEIGHT = 240, 56


def write_drift_page(drift: Drift, output: PathLike, model: str, predictions: str, noun: str = "video") -> None:
    """Write the page as one file that needs no other file and no network.

    Args:
        drift: The comparison.
        output: HTML file to write.
        model: Name of the model or bundle; of a path, its last part is shown.
        predictions: Name of the table of predictions; the same.
        noun: What was predicted.
    """
    names = _without_folders([str(row["id"]) for row in drift.farthest])
    facts: dict[str, Any] = asdict(drift) | {
        "model": PurePath(model).name,
        "predictions": PurePath(predictions).name,
        "items": [asdict(item) | {"picture": _picture(item)} for item in drift.items],
        "farthest": [row | {"id": name} for row, name in zip(drift.farthest, names, strict=True)],
        "figure": figure,
        "limits": limits,
    }
    with replacing(output) as file:
        file.write(render(facts, Path(__file__).parent / "drift.html", noun).encode())


def figure(value: float) -> str:
    r"""Format a number of any size, with four digits or all before the point; a dash for NaN.

    >>> figure(0.01234), figure(29.97), figure(1920.4), figure(-2) == "\N{MINUS SIGN}2"
    ('0.01234', '29.97', '1,920', True)
    """
    if pd.isna(value):
        return "\N{EN DASH}"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _without_folders(ids: Sequence[str]) -> list[str]:
    """Shorten ids that are absolute paths: readers need no folders of another machine, and they name people.

    >>> _without_folders(["/home/anna/a/1.mp4", "/home/anna/b/1.mp4", "c/1.mp4"]), _without_folders(["/a/1", "/b/2"])
    (['a/1.mp4', 'b/1.mp4', 'c/1.mp4'], ['1', '2'])
    """
    folders = [os.path.dirname(name) for name in ids if os.path.isabs(name)]
    common = os.path.commonpath(folders) if folders else "/"
    short = os.path.basename if common == "/" else partial(os.path.relpath, start=common)
    return [short(name) if os.path.isabs(name) else name for name in ids]


def _picture(item: Item) -> Markup:
    """Draw the histograms: training as bars, new videos as a line. Numbers only, so that nothing needs escaping."""
    highest = max(*item.bars[0], *item.bars[1], 1e-9)
    step = _WIDTH / len(item.bars[0])
    training, new = ([_HEIGHT * share / highest for share in shares] for shares in item.bars)
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step:.1f}" height="{height:.1f}"/>'
        for i, height in enumerate(training)
        if height
    )
    line = "".join(f"V{_HEIGHT - height:.1f}H{(i + 1) * step:.1f}" for i, height in enumerate(new))
    box = f"0 -2 {_WIDTH} {_HEIGHT + 4}"
    return Markup(f'<svg viewBox="{box}" aria-hidden="true">{bars}<path d="M0 {_HEIGHT}{line}V{_HEIGHT}"/></svg>')
