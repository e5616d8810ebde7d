"""Draw reproducible figures: SVG for light and dark pages, PDF for papers."""

import html
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from clipfold.evaluation import metrics
from clipfold.storage.files import Array

_PLACEHOLDER = "#808080"  # replaced by the colour of the surrounding text
_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
_ACCENT = "#3b82f6"
# Medium lightness stands out on white and on black; line styles help colour-blind readers.
_COLORS = ("#3b82f6", "#e8590c", "#2f9e44", "#d6336c", "#845ef7", "#0c9aa8", "#b08900", "#8d6e63")
_STYLES = ("-", "--", ":", "-.")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "clipfold",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class name may contain $
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # keeps text selectable and editable
}

_MOST_POINTS = 5000
"""Points of a curve: more would show nothing, and make pages that no browser opens."""

Curve: TypeAlias = tuple[Array, Array]
"""Horizontal and vertical positions, float of (points,)."""

PICTURE_ABOVE = 25
"""With more classes than this, a confusion matrix is one picture, without names and numbers."""

Predictions = Mapping[str, Sequence[tuple[Array, Array]]]
"""Model name -> per repeat, targets, int of (videos,), and probabilities, float of (videos, classes)."""


def evaluation(
    predictions: Predictions, areas: Mapping[str, Mapping[str, float]], classes: Sequence[str], bins: pd.DataFrame
) -> dict[str, bytes]:
    """Draw all figures of the evaluation.

    Args:
        predictions: Predictions of each model, best first.
        areas: Model name -> `roc_auc` and `average_precision`.
        classes: Sorted class names.
        bins: Table with schema `calibration.BINS`.

    Returns:
        `roc`, `precision_recall`, `confusion` and `reliability` as SVG, and the same names with `_pdf` as PDF.
    """
    models = ", ".join(predictions)
    # Computed once, as each figure is drawn twice.
    roc, precision_recall = zip(*(_curves(parts) for parts in predictions.values()), strict=True)
    targets = next(iter(predictions.values()))[0][0]
    chance = float(np.mean([(targets == c).mean() for c in metrics.positives(len(classes))]))
    auc, precision = (
        [f"{model}  {areas[model][name]:.3f}" for model in predictions] for name in ("roc_auc", "average_precision")
    )
    drawings: Mapping[str, tuple[str, Callable[[], Figure]]] = {
        "roc": ("ROC curves", lambda: _roc(roc, auc, classes)),
        "precision_recall": (
            "Precision-recall curves",
            lambda: _precision_recall(precision_recall, precision, chance, classes),
        ),
        "confusion": ("Confusion matrices", lambda: _confusion(predictions, classes)),
        "reliability": ("Reliability diagrams", lambda: _reliability(list(predictions), classes, bins)),
    }
    drawn = {}
    for name, (title, draw) in drawings.items():
        drawn[name] = _svg(draw, name, f"{title} of {models}").encode()
        drawn[f"{name}_pdf"] = _pdf(draw)
    return drawn


def _roc(lines: Sequence[Curve], labels: Sequence[str], classes: Sequence[str]) -> Figure:
    """Draw the pooled ROC curve of each model."""
    figure, axes = _square(len(lines))
    axes.plot([0, 1], [0, 1], color=_ink(), linewidth=0.8, linestyle=(0, (2, 4)))
    _plot_curves(axes, lines, labels)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel(f"true positive rate ({_positive(classes)})")
    figure.legend(loc="outside lower center", title="ROC-AUC, pooled over folds", alignment="left", handlelength=3)
    return figure


def _precision_recall(lines: Sequence[Curve], labels: Sequence[str], chance: float, classes: Sequence[str]) -> Figure:
    """Draw the pooled precision-recall curve of each model."""
    figure, axes = _square(len(lines))
    axes.axhline(chance, color=_ink(), linewidth=0.8, linestyle=(0, (2, 4)))
    _plot_curves(axes, lines, labels)
    axes.set_xlabel(f"recall ({_positive(classes)})")
    axes.set_ylabel("precision")
    figure.legend(loc="outside lower center", title="Average precision", alignment="left", handlelength=3)
    return figure


def _square(models: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 4.6 + 0.2 * models), layout="constrained")
    return figure, figure.add_subplot(aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _curves(parts: Sequence[tuple[Array, Array]]) -> tuple[Curve, Curve]:
    """Compute a model's ROC and precision-recall curves.

    Each is that of the positive class of two, or the one-vs-rest mean over the classes present; averaged over repeats.
    """
    found = [
        _curves_of_class(*metrics.corners(targets == c, probabilities[:, c]))
        for targets, probabilities in parts
        for c in metrics.positives(probabilities.shape[1])
        if 0 < (targets == c).sum() < len(targets)
    ]
    nothing = np.full(1, np.nan)
    roc, precision_recall = zip(*found, strict=True) if found else ([(nothing, nothing)],) * 2
    return _mean_curve(roc), _mean_curve(precision_recall)


def _curves_of_class(hits: Array, alarms: Array) -> tuple[Curve, Curve]:
    """Draw the ROC and precision-recall curves through the results of `metrics.corners`."""
    turns = np.r_[True, (np.diff(hits, 2) != 0) | (np.diff(alarms, 2) != 0), True]
    roc = alarms[turns] / alarms[-1], hits[turns] / hits[-1]
    return roc, (hits / hits[-1], np.r_[1, hits[1:] / (hits + alarms)[1:]])


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    if len(curves) == 1:
        x, y = curves[0]
        if len(x) > _MOST_POINTS:
            shown = np.linspace(0, len(x) - 1, _MOST_POINTS).astype(int)
            return x[shown], y[shown]
        return x, y
    grid = np.linspace(0, 1, 201)
    y = np.mean([np.interp(grid, *each) for each in curves], axis=0)
    # Interpolation would start a curve with a vertical rise at its top.
    return np.r_[0, grid], np.r_[np.mean([each[1][0] for each in curves]), y]


def _plot_curves(axes: Axes, lines: Sequence[Curve], labels: Sequence[str]) -> None:
    for i, ((x, y), label) in enumerate(zip(lines, labels, strict=True)):
        color, style = _COLORS[i % len(_COLORS)], _STYLES[i // len(_COLORS) % len(_STYLES)]
        axes.plot(x, y, color=color, linestyle=style, linewidth=1.8, label=label)


def _positive(classes: Sequence[str]) -> str:
    return _short(classes[1] if len(classes) == 2 else "each class, averaged", 30)


def _confusion(predictions: Predictions, classes: Sequence[str]) -> Figure:
    """Draw each model's confusion matrix: colour is the share of the true class, numbers count videos."""
    if len(classes) > PICTURE_ABOVE:
        return _confusion_picture(predictions)
    figure, panels = _panels(list(predictions), 1.5 + 0.45 * len(classes), 1.2 + 0.45 * len(classes))
    names = [_short(name, 14) for name in classes]
    for axes, parts in zip(panels, predictions.values(), strict=True):
        counts = np.mean([metrics.confusion(*part) for part in parts], axis=0)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for (row, column), count in np.ndenumerate(counts):
            share = shares[row, column]
            # Never opaque, so that text in the page's colour stays legible on any cell.
            color = to_rgba(_ACCENT, 0.04 + 0.5 * share)
            axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=color, edgecolor="none"))
            text = f"{count:.0f}\n{share:.0%}" if len(classes) <= 6 else f"{count:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9)
        ticks = range(len(classes))
        axes.set_xticks(ticks, names)
        if max(map(len, names)) > 6:
            axes.tick_params(axis="x", labelrotation=40)
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, names)
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), xlabel="predicted", ylabel="true")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_aspect("equal")
    return figure


def _confusion_picture(predictions: Predictions) -> Figure:
    """Draw each model's confusion matrix with one pixel per cell, so that the size of the file is bounded."""
    figure, panels = _panels(list(predictions), 4.4, 4.4)
    for axes, parts in zip(panels, predictions.values(), strict=True):
        counts = np.mean([metrics.confusion(*part) for part in parts], axis=0)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        colors = np.broadcast_to(to_rgba(_ACCENT), (*shares.shape, 4)).copy()
        colors[..., 3] = np.where(shares > 0, 0.15 + 0.85 * shares, 0.03)
        axes.imshow(colors, interpolation="none")
        axes.set(xticks=[], yticks=[], xlabel="predicted, in order of name", ylabel="true, in order of name")
    return figure


def _reliability(models: Sequence[str], classes: Sequence[str], bins: pd.DataFrame) -> Figure:
    """Draw each model's reliability, as predicted and calibrated."""
    figure, panels = _panels(models, 2.6, 2.7)
    for axes, model in zip(panels, models, strict=True):
        axes.plot([0, 1], [0, 1], color=_ink(), linewidth=0.8, linestyle=(0, (2, 4)))
        for scaled, color, style, marker in ((False, _COLORS[1], "--", "s"), (True, _COLORS[0], "-", "o")):
            part = bins[(bins.model == model) & (bins.scaled == scaled)]
            axes.vlines(part.probability, part.low, part.high, color=color, linewidth=0.8, alpha=0.7)
            label = "calibrated" if scaled else "as predicted"
            axes.plot(part.probability, part.frequency, style, marker=marker, color=color, markersize=3.5, label=label)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="probability", ylabel="frequency")
    title = f"Positive class: {_short(classes[1], 30)}" if len(classes) == 2 else "Predicted class"
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, title=title, alignment="left")
    return figure


def learning_curves(histories: Mapping[str, Sequence[pd.DataFrame]]) -> str:
    """Draw the losses of each model by epoch, one line per fold and split; a dot marks the epoch kept.

    Args:
        histories: Model name -> per fold, a table of `epoch`, `train_loss` and `val_loss`.

    Returns:
        SVG.
    """

    def draw() -> Figure:
        figure, panels = _panels(list(histories), 3.2, 2.4)
        for axes, folds in zip(panels, histories.values(), strict=True):
            for i, table in enumerate(folds):
                for split, color, style in (("train", _COLORS[0], "--"), ("val", _COLORS[1], "-")):
                    label = {"train": "training", "val": "validation"}[split] if i == 0 else None
                    losses = table[f"{split}_loss"]
                    axes.plot(table["epoch"], losses, color=color, linestyle=style, linewidth=0.9, label=label)
                kept = table["val_loss"].to_numpy().argmin()
                axes.plot(table["epoch"][kept], table["val_loss"][kept], "o", color=_COLORS[1], markersize=3.5)
            axes.set(xlabel="epoch", ylabel="loss")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return figure

    return _svg(draw, "learning", f"Losses by epoch of {', '.join(histories)}")


def _panels(titles: Sequence[str], width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Create a figure with one panel per title, at most three per row."""
    columns = min(3, len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(len(titles))]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontweight="bold")
    return figure, panels


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _ink() -> str:
    return str(mpl.rcParams["text.color"])


def _svg(draw: Callable[[], Figure], name: str, description: str) -> str:
    """Render as SVG that takes the surrounding text colour and can share a page with other figures."""
    buffer = io.StringIO()
    nothing: dict[str, None] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context(_STYLE | dict.fromkeys(_INKED, _PLACEHOLDER)):
        draw().savefig(buffer, format="svg", transparent=True, metadata=nothing)
    body = buffer.getvalue().split("<svg ", 1)[1].replace(_PLACEHOLDER, "currentColor")
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = body.replace("*{stroke-linejoin", f"#{name}-figure *{{stroke-linejoin")
    # Opened on its own, the figure follows the viewer's preferred colour scheme.
    color = "svg:root{color:#1f2328}@media screen and (prefers-color-scheme:dark){svg:root{color:#e6e6e6}}"
    head = f'<svg id="{name}-figure" role="img" aria-label="{html.escape(description)}" '
    return head + body.replace(">", f">\n <style>{color}</style>", 1)


def _pdf(draw: Callable[[], Figure]) -> bytes:
    """Render as PDF for print: black on a transparent background, with text as text."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE | dict.fromkeys(_INKED, "black")):
        draw().savefig(buffer, format="pdf", transparent=True, metadata={"CreationDate": None})
    return buffer.getvalue()
