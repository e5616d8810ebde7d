"""Check the folds before training: the gate that stops leaking folds."""

import logging
from collections.abc import Mapping
from typing import Any

from clipfold.storage.files import PathLike, read_json, read_table, write_table

logger = logging.getLogger(__name__)

_SHOWN = 5
_REMEDIES = {
    "groups": "keep each group in one split (splits.scheme: grouped does this)",
    "duplicates": "set policy.duplicate to quarantine, or give duplicates the same group",
    "overlaps": "give segments that share frames the same group, or leave group empty: then a file's segments stay "
    "together",
    "near_duplicates": "give videos of one recording the same group in the manifest, or set "
    "splits.merge_near_duplicates: true",
}


def check_leakage(folds: PathLike, audit: PathLike, page: PathLike, output: PathLike) -> None:
    """Pass the folds on to training unless the audit found leaks that the config does not allow.

    Args:
        folds: table of the folds.
        audit: JSON of the audit of the folds.
        page: page that shows the audit, named in the error message.
        output: same table as `folds`, read by training.

    Raises:
        ValueError: a leak that is not allowed; the message names the leaks and the remedies.
    """
    facts = read_json(audit)
    if facts["stops"]:
        found = "; ".join(f"{facts['kinds'][kind]['found']} {kind.replace('_', ' ')}" for kind in facts["stops"])
        remedies = "; ".join(_REMEDIES[kind] for kind in facts["stops"])
        raise ValueError(
            f"the folds leak, so nothing is trained: {found}; {facts['leaking']} of {facts['tested']} test videos are "
            f"affected.\n{_examples(facts)}\nSee {page} for the pairs. Then {remedies}. Or accept optimistic results, "
            f"marked as such in every table: allow_leakage: [{', '.join(facts['stops'])}]"
        )
    write_table(output, read_table(folds))
    logger.info("the folds pass: %s", facts["mark"] or "none of the checks found a leak")


def _examples(facts: Mapping[str, Any]) -> str:
    pairs = [
        f"{pair['first']!r} and {pair['second']!r} ({pair['change']}, {pair['score']:.2f}), "
        f"groups {pair['groups'][0]!r} and {pair['groups'][1]!r}, fold {', '.join(map(str, pair['folds']))}"
        for pair in facts["near_duplicates"]["across_splits"]
    ]
    torn = [
        f"{leak['value']!r} in {' and '.join(leak['splits'])} of fold {leak['fold']}"
        for kind in ("groups", "duplicates")
        if kind in facts["stops"]
        for leak in facts[f"{kind}_across_splits"]
    ]
    torn += [
        f"{pair['first']!r} and {pair['second']!r} share {pair['frames']} frames, fold "
        f"{', '.join(map(str, pair['folds']))}"
        for pair in facts["overlaps_across_splits"]
        if "overlaps" in facts["stops"]
    ]
    lines = torn[:_SHOWN] + (pairs[:_SHOWN] if "near_duplicates" in facts["stops"] else [])
    return "\n".join(f"  {line}" for line in lines)
