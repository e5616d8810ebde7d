"""The gate between dealing and training: folds that leak do not pass."""

import logging
from collections.abc import Mapping
from typing import Any

from clipfold.storage.files import PathLike, read_json, read_table, write_table

logger = logging.getLogger(__name__)

_SHOWN = 5
_REMEDIES = {
    "groups": "let no group be in several parts (splits.scheme: grouped does)",
    "duplicates": "set policy.duplicate to quarantine, or give copies the same group",
    "near_duplicates": "give videos of one recording the same group in the manifest, or set "
    "splits.merge_near_duplicates: true",
}


def check_leakage(folds: PathLike, audit: PathLike, page: PathLike, output: PathLike) -> None:
    """Let the dealt folds pass, if they have no leak but those that the config allows.

    Args:
        folds: table of the folds.
        audit: what was found in it.
        page: where that can be looked at.
        output: the same table, for training to read.

    Raises:
        ValueError: a leak that is not allowed; the message names what leaks, and the remedies.
    """
    facts = read_json(audit)
    if facts["stops"]:
        found = "; ".join(f"{facts['kinds'][kind]['found']} {kind.replace('_', ' ')}" for kind in facts["stops"])
        remedies = "; ".join(_REMEDIES[kind] for kind in facts["stops"])
        raise ValueError(
            f"the folds leak, so that nothing is trained: {found}; {facts['leaking']} of {facts['tested']} test videos "
            f"are concerned.\n{_examples(facts)}\nLook at them in {page}. Then {remedies}. Or accept that results are "
            f"too good, and marked so in every table: allow_leakage: [{', '.join(facts['stops'])}]"
        )
    write_table(output, read_table(folds))
    logger.info("folds pass: %s", facts["mark"] or "no leaks")


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
    lines = torn[:_SHOWN] + (pairs[:_SHOWN] if "near_duplicates" in facts["stops"] else [])
    return "\n".join(f"  {line}" for line in lines)
