"""The groups of features that the fits of a bundle read."""

from pathlib import Path

from clipfold.checks import require
from clipfold.features.registry import GROUPS
from clipfold.models.record import read_record


def feature_groups(folder: Path) -> list[str]:
    """List the groups of features that the fits in the folder of a bundle read, in alphabetical order.

    Raises:
        ValueError: This version of clipfold has no such group, or computes other values for it.
    """
    found: dict[str, int] = {}
    for record in map(read_record, (folder / "fits").rglob("fit.json")):
        known = record.get("feature_versions", {})
        found |= {name: known.get(name, 1) for name in (each.partition(".")[0] for each in record.get("features", ()))}
    remedy = "predict with the version that made the bundle, or train again and make a new one"
    for name, version in found.items():
        field = f"features of the bundle: {name}"
        require(name in GROUPS, field, name, f"this version of clipfold has {', '.join(GROUPS)}: {remedy}")
        ours = GROUPS[name].version
        require(version == ours, f"{field}: version", version, f"this clipfold computes version {ours}: {remedy}")
    return sorted(found)
