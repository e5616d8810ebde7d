"""Say what the scores under coarser groups show."""

from collections.abc import Mapping
from typing import Any

from clipfold.report.scores import axis

LEVEL = 0.05


def dropped(coarser: Mapping[str, Any] | None) -> bool:
    """Return whether the score drops beyond chance where groups that look alike are merged."""
    return bool(coarser and coarser.get("p", 1.0) <= LEVEL)


def described(coarser: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Prepare the section of the page: `sentence`, and `rows` of a figure with their `axis`; None without scores.

    Args:
        coarser: What `evaluation.coarser_groups` wrote.
    """
    if not coarser:
        return None
    if "reason" in coarser:
        return {"sentence": f"Whether the groups are too fine was not tested: {coarser['reason']}.", "rows": []}
    first = min(coarser["levels"], key=lambda level: level["p"])  # of equals, the finer
    scores = (
        f"a linear model on the features reaches {coarser['score']:.2f} under the {coarser['groups']} groups, and "
        f"{first['similar']:.2f} where those that look alike are merged into {first['groups']}; merged at random, "
        f"{first['random']:.2f} ({first['low']:.2f} to {first['high']:.2f}), p = {coarser['p']:.2f}, corrected for "
        f"{len(coarser['levels'])} sizes"
    )
    if dropped(coarser):
        sentence = f"The groups may be too fine: {scores}."
    else:
        sentence = f"No sign that the groups are too fine: {scores}."
    rows = [{"name": f"{level['groups']} groups", "value": level["similar"], **level} for level in coarser["levels"]]
    rows = [{"name": f"{coarser['groups']} groups, as they are", "value": coarser["score"]}, *rows]
    nothing = {"low": float("nan"), "high": float("nan")}
    rows = [nothing | row for row in rows]
    return {"sentence": sentence, "rows": rows, "axis": axis(rows), "looks": coarser["looks"]}
