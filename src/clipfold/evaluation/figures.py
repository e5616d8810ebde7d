"""Figures as SVG text that is the same for the same input and reads on light and on dark pages."""

import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from clipfold.evaluation import metrics
from clipfold.store import Array

_INK = "#808080"  # a placeholder: it becomes the colour of the text around the figure
_ACCENT = "#3b82f6"
# Of middling lightness, so that each stands out on white and on black, and told apart by the colour-blind by style.
_COLORS = ("#3b82f6", "#e8590c", "#2f9e44", "#d6336c", "#845ef7", "#0c9aa8", "#b08900", "#8d6e63")
_STYLES = ("-", "--", ":", "-.")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "clipfold",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may be named $5
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
}

Predictions = Mapping[str, tuple[Array, Array]]


def roc(predictions: Predictions, classes: Sequence[str]) -> str:
    """Draw the pooled ROC curve of each model: of the positive class, or the mean of one against the rest.

    Args:
        predictions: model -> targets, int of (videos,), and probabilities, float of (videos, classes).
        classes: sorted names.

    Returns:
        SVG.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 4.6 + 0.2 * len(predictions)), layout="constrained")
        axes = figure.add_subplot(aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=(0, (2, 4)))
        for i, (model, (targets, probabilities)) in enumerate(predictions.items()):
            auc = metrics.overall(targets, probabilities)["roc_auc"]
            color, style = _COLORS[i % len(_COLORS)], _STYLES[i // len(_COLORS) % len(_STYLES)]
            label = f"{model}  {auc:.3f}"
            axes.plot(*_curve(targets, probabilities), color=color, linestyle=style, linewidth=1.8, label=label)
        positive = classes[1] if len(classes) == 2 else "each class, averaged"
        axes.set_xlabel("false positive rate")
        axes.set_ylabel(f"true positive rate ({_short(positive, 30)})")
        figure.legend(loc="outside lower center", title="ROC-AUC", alignment="left", handlelength=3)
        return _svg(figure, "roc", f"ROC curves of {', '.join(predictions)}")


def _curve(targets: Array, probabilities: Array) -> tuple[Array, Array]:
    classes = probabilities.shape[1]
    if classes == 2:
        false, true, _ = roc_curve(targets == 1, probabilities[:, 1])
        return false, true
    grid = np.linspace(0, 1, 201)
    curves = [roc_curve(targets == c, probabilities[:, c]) for c in range(classes)]
    return np.r_[0, grid], np.r_[0, np.mean([np.interp(grid, false, true) for false, true, _ in curves], axis=0)]


def confusion(predictions: Predictions, classes: Sequence[str]) -> str:
    """Draw each model's confusion matrix: colour is the share of the true class, numbers are videos.

    Args:
        predictions: model -> targets, int of (videos,), and probabilities, float of (videos, classes).
        classes: sorted names.

    Returns:
        SVG.
    """
    with mpl.rc_context(_STYLE):
        figure, panels = _panels(list(predictions), 1.5 + 0.45 * len(classes), 1.2 + 0.45 * len(classes))
        names = [_short(name, 14) for name in classes]
        for axes, (targets, probabilities) in zip(panels, predictions.values(), strict=True):
            counts = metrics.confusion(targets, probabilities)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            for (row, column), count in np.ndenumerate(counts):
                share = shares[row, column]
                # Never opaque, so that text in the page's own colour reads on any cell.
                color = to_rgba(_ACCENT, 0.04 + 0.5 * share)
                axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=color, edgecolor="none"))
                text = f"{count}\n{share:.0%}" if len(classes) <= 6 else f"{count}"
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
        return _svg(figure, "confusion", f"Confusion matrices of {', '.join(predictions)}")


def learning_curves(histories: Mapping[str, Sequence[pd.DataFrame]]) -> str:
    """Draw the losses of each model by epoch, one line per fold and part; a dot marks the epoch that was kept.

    Args:
        histories: model -> per fold, a table of `epoch`, `train_loss` and `val_loss`.

    Returns:
        SVG.
    """
    with mpl.rc_context(_STYLE):
        figure, panels = _panels(list(histories), 3.2, 2.4)
        for axes, folds in zip(panels, histories.values(), strict=True):
            for i, table in enumerate(folds):
                for part, color, style in (("train", _COLORS[0], "--"), ("val", _COLORS[1], "-")):
                    label = {"train": "training", "val": "validation"}[part] if i == 0 else None
                    losses = table[f"{part}_loss"]
                    axes.plot(table["epoch"], losses, color=color, linestyle=style, linewidth=0.9, label=label)
                kept = table["val_loss"].to_numpy().argmin()
                axes.plot(table["epoch"][kept], table["val_loss"][kept], "o", color=_COLORS[1], markersize=3.5)
            axes.set(xlabel="epoch", ylabel="loss")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return _svg(figure, "learning", f"Losses by epoch of {', '.join(histories)}")


def _panels(titles: Sequence[str], width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of as many panels as titles, at most three beside each other."""
    columns = min(3, len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(len(titles))]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontweight="bold")
    return figure, panels


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _svg(figure: Figure, name: str, description: str) -> str:
    """Write the figure such that it takes the text colour around it, and such that several go on one page."""
    buffer = io.StringIO()
    nothing: dict[str, None] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    body = buffer.getvalue().split("<svg ", 1)[1].replace(_INK, "currentColor")
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = body.replace("*{stroke-linejoin", f"#{name}-figure *{{stroke-linejoin")
    # Alone, outside a page, it follows the viewer's preference.
    color = "svg:root{color:#1f2328}@media screen and (prefers-color-scheme:dark){svg:root{color:#e6e6e6}}"
    head = f'<svg id="{name}-figure" role="img" aria-label="{html.escape(description)}" '
    return head + body.replace(">", f">\n <style>{color}</style>", 1)
