"""Say what a run shows, what it does not show, and what it did not test: the box on the first screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipfold.report.coarser import dropped
from clipfold.report.shortcuts import sees

FEW = 10
"""With fewer groups of a class, its own metrics say little."""


def chance(metric: str, classes: int) -> float:
    """Return the value of the headline for a model that knows nothing.

    >>> chance("roc_auc_within", 2), chance("balanced_accuracy", 4)
    (0.5, 0.25)
    """
    return 0.5 if metric.startswith("roc_auc") else 1 / classes


def claims(
    comparison: Sequence[Mapping[str, Any]],
    audit: Mapping[str, Any],
    groups: Mapping[str, int],
    shares: Mapping[str, float],
    networks: Sequence[str],
    coarser: Mapping[str, Any] | None = None,
) -> dict[str, list[str]]:
    """Derive the claims from the results.

    Args:
        comparison: Result of `scores.comparison`, best first.
        audit: Result of `dataset.audited`.
        groups: Class -> number of groups with usable videos of it.
        shares: Class -> its share of the usable videos, in [0, 1].
        networks: Names of the models with a random start that each fold trained once.
        coarser: What `evaluation.coarser_groups` wrote, if anything.

    Returns:
        `may`, `may_not` and `untested`: sentences without markup.
    """
    best = comparison[0]
    rivals = [row for row in comparison[1:] if not row["shortcut"]]
    level, name = chance(best["metric"], len(groups)), best["model"]
    ties, behind = ([row["model"] for row in rivals if row["tied"] is tied] for tied in (True, False))
    leaks = bool(audit["leaks"] or audit["mark"] or audit.get("scheme") == "random")
    above = bool(best["low"] > level)
    may, may_not, untested = [], [], []
    beats = not best["best_shortcut"] or bool(best["over_shortcut_low"] > 0)
    if above and beats and not leaks:
        may.append(f"{name} tells these classes apart in groups that it was not trained on, better than by chance.")
        if best["best_shortcut"]:
            seen = _listed([sees(row["model"]) for row in comparison if row["shortcut"]])
            may.append(f"It uses more of the videos than the shortcuts see: {seen}.")
    if behind and not leaks:
        may.append(f"{name} is better on such videos than {_listed(behind)}.")
    if not above:
        may_not.append(f"That any model knows something: the interval of the best is not above chance, {level:.2f}.")
    if not beats:
        may_not.append(
            f"That {name} uses more of the videos than {sees(best['best_shortcut'])}: {best['best_shortcut']}, which "
            "sees nothing else, is not shown to be worse."
        )
    if ties:
        may_not.append(f"That {name} is better than {_listed(ties)}: these videos do not show it.")
    if leaks:
        may_not.append("Any of this for new groups: videos of the tests leak into training.")
    if audit.get("groups", {}).get("source") == "proposed":
        may_not.append("That the groups are right: they were guessed.")
    if dropped(coarser):
        may_not.append(
            "That the groups are coarse enough: a light model drops where groups that look alike are merged."
        )
    mix = ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:6])
    may_not.append(
        f"Precision, average precision or calibration where classes are mixed otherwise than here ({mix}"
        f"{', …' if len(shares) > 6 else ''})."
    )
    if few := [name for name, count in groups.items() if count < FEW]:
        may_not.append(f"Much about {_listed(few)}: fewer than {FEW} groups have {'it' if len(few) == 1 else 'them'}.")
    untested.append("Videos of other sources, places or times than these, and videos edited to deceive.")
    if coarser and "reason" in coarser:
        untested.append(f"Whether the groups are too fine: {coarser['reason']}.")
    if any(row["model"] == "shortcut_shuffled" for row in comparison):
        untested.append(
            f"Whether {name} needs the order of the frames: the shortcut in shuffled order is another model."
        )
    if networks:
        untested.append(
            f"Other random starts of {_listed(networks)}: each fold was trained once, so chance in training is not in "
            "the interval. seeds: 3 puts it there."
        )
    return {"may": may, "may_not": may_not, "untested": untested}


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:5], *([f"{len(names) - 5} more"] if len(names) > 5 else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
