"""Write LaTeX tables for a paper; they need only the booktabs package."""

import numpy as np
import pandas as pd

NAMES = {
    "accuracy": "Accuracy",
    "top_5_accuracy": "Top-5 accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "macro_f1": "Macro F1",
    "mcc": "MCC",
    "roc_auc_within": "ROC-AUC within folds",
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision",
    "eer": "Equal error rate",
    "log_loss": "Log-loss",
    "brier": "Brier score",
    "ece": "Calibration error",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
"""Display names of the metrics."""
SHORTCUT = "shortcut"
_BESIDE = ("accuracy", "top_5_accuracy", "balanced_accuracy", "macro_f1", "mcc")


def comparison(compared: pd.DataFrame, scores: pd.DataFrame) -> str:
    """Format the comparison: models best first, with intervals, p-values and verdicts.

    Args:
        compared: Table with schema `comparison.COMPARISON`.
        scores: Table with schema `measure.SCHEMA`.

    Returns:
        A `tabular` environment with escaped names.
    """
    metric = compared["metric"][0]
    pooled = scores[(scores.scope == "pooled") & (scores["class"] == "") & (scores.decision != "val")]
    table = pd.DataFrame({"Model": compared.model, NAMES[metric]: _with_interval(compared)})
    for other in (*(["roc_auc"] if metric == "roc_auc_within" else []), *_BESIDE):
        if other != metric and (pooled.metric == other).any():
            values = pooled[pooled.metric == other].set_index("model").loc[compared.model]
            table[NAMES[other]] = _with_interval(values).to_numpy()
    best = np.arange(len(compared)) == 0
    shown = [f"{p:.3f}" if p >= 0.001 else "< 0.001" for p in compared.p_holm]
    table["p (Holm)"] = np.where(best, "", shown)
    table["Verdict"] = np.where(best, "best", np.where(compared.tied, "tied", "behind"))
    if compared.shortcut.any():
        table[f"Over {SHORTCUT}"] = _with_interval(
            compared[["over_shortcut", "over_shortcut_low", "over_shortcut_high"]].set_axis(
                ["value", "low", "high"], axis=1
            )
        )
        table.loc[compared.shortcut.to_numpy(), ["p (Holm)", "Verdict"]] = "", SHORTCUT
    return _latex(table, compared["leakage"].iloc[0])


def per_class(scores: pd.DataFrame) -> str:
    """Format precision, recall, F1 and ROC-AUC within folds of each class and model, with intervals.

    Args:
        scores: Table with schema `measure.SCHEMA`.

    Returns:
        A `tabular` environment with escaped names.
    """
    own = scores[(scores.scope == "pooled") & (scores["class"] != "") & (scores.decision != "val")]
    own = own.assign(text=_with_interval(own))
    wide = own.pivot_table(index=["model", "class"], columns="metric", values="text", aggfunc="first", sort=False)
    support = own[own.metric == "support"].set_index(["model", "class"])["value"]
    table = wide[["precision", "recall", "f1", "roc_auc_within"]].rename(columns=NAMES)
    table.insert(0, "Videos", support.map("{:.0f}".format))
    return _latex(table.reset_index().rename(columns={"model": "Model", "class": "Class"}), scores["leakage"].iloc[0])


def _with_interval(rows: pd.DataFrame) -> "pd.Series[str]":
    texts = [
        "--" if np.isnan(value) else f"{value:.3f}" + ("" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]")
        for value, low, high in zip(rows.value, rows.low, rows.high, strict=True)
    ]
    return pd.Series(texts, index=rows.index, dtype=object)


def _latex(table: pd.DataFrame, leakage: str) -> str:
    style = table.style.format(escape="latex").format_index(escape="latex", axis=1).hide(axis="index")
    text = str(style.to_latex(hrules=True, column_format="l" * len(table.columns)))
    if leakage:
        note = f"\\multicolumn{{{len(table.columns)}}}{{l}}{{Leaks: {leakage}.}} \\\\\n\\bottomrule"
        text = text.replace("\\bottomrule", "\\midrule\n" + note)
    # Outside math mode, TeX's old fonts have other characters at these positions.
    return text.replace("<", r"\textless{}").replace(">", r"\textgreater{}")
