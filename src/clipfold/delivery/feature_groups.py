"""The groups of features that the fits of a bundle read."""

from typing import TYPE_CHECKING

from clipfold.checks import require
from clipfold.features.registry import GROUPS, group_of
from clipfold.models.record import read_record

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle


def feature_groups(bundle: "OpenBundle") -> list[str]:
    """List the groups of handcrafted features that the fits of a bundle read, in alphabetical order.

    Raises:
        ValueError: This version of clipfold has no such group, or computes other values for it.
    """
    records = map(read_record, (bundle.folder / "fits").rglob("fit.json"))
    lists = [record.get("features") for record in records]  # of a stranger's bundle they may be anything
    columns = {str(column) for each in lists if isinstance(each, list) for column in each}
    embedded = {group_of(column) for column in columns if column.startswith("embedding.")}  # see `OpenBundle.encoders`
    names = sorted({group_of(column) for column in columns} - embedded)
    remedy = "predict with the version of clipfold that made the bundle, or train again and make a new one"
    for name in names:
        field = f"features of the bundle: {name}"
        require(name in GROUPS, field, name, f"this version of clipfold has {', '.join(GROUPS)}: {remedy}")
        made, ours = bundle.description.get("feature_versions", {}).get(name, 1), GROUPS[name].version
        require(made == ours, f"{field}: version", made, f"this version of clipfold computes version {ours}: {remedy}")
    return names
