"""Keep count of the models that were scored on the same test videos: each try makes the best look better by chance.

The ledger is no output of a rule, so that it outlives changes of the config. It is one file of JSON, in which a model
counts once, by the digest of its predictions, whatever its name.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clipfold.evaluation.pooling import Pooled
from clipfold.storage.files import PathLike, read_json, write_json


def enter(path: PathLike, models: Mapping[str, Pooled], metric: str, values: Mapping[str, float]) -> tuple[int, int]:
    """Add models to the ledger.

    Args:
        path: The ledger; made if there is none.
        models: Model name -> its predictions, all on the same test videos.
        metric: Name of the headline.
        values: Model name -> its headline.

    Returns:
        How many models have been scored on exactly these test videos, these included, and how many on others.

    Raises:
        ValueError: The file is no ledger.
    """
    entries = _read(Path(path))
    for name, pooled in models.items():
        ids = pooled.table[["id", "label"]].drop_duplicates().sort_values("id")
        scored = pooled.table.drop(columns=["model", "fold"])
        entry = {"model": name, "metric": metric, "value": None if np.isnan(values[name]) else round(values[name], 6)}
        entry |= {"tested": len(ids), "test": _digest(ids), "predictions": _digest(scored)}
        known = {(each["test"], each["predictions"]) for each in entries}
        if (entry["test"], entry["predictions"]) not in known:
            entries.append(entry)
    write_json(path, entries)
    here = sum(each["test"] == entry["test"] for each in entries)
    return here, len(entries) - here


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        entries = read_json(path)
        if all(isinstance(each["test"], str) and isinstance(each["predictions"], str) for each in entries):
            return list(entries)
    except (ValueError, TypeError, KeyError):
        pass
    raise ValueError(f"{path} is not a ledger of scored models: move it away, and models are counted from 1 again")


def _digest(table: Any) -> str:
    """Hash a table's values, with numbers to nine digits: a refit on the same data may differ in the last ones."""
    rows = table.round(9).astype(str).to_numpy().tolist()
    return hashlib.blake2b(json.dumps([*table.columns, rows]).encode(), digest_size=8).hexdigest()
