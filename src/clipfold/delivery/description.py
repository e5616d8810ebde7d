"""The description of a bundle, `bundle.json`: its keys, and what they may hold. Standard library only."""

import datetime
import re
from collections.abc import Callable
from types import UnionType
from typing import Any, NotRequired, TypedDict, cast, get_args, get_origin, get_type_hints, is_typeddict

from clipfold.checks import require
from clipfold.storage.records import parse_json
from clipfold.table.cells import CATEGORY, KINDS
from clipfold.table.columns import NAMED

FORMAT = 2
"""Raised when a description changes in a way that older code could not read."""

EXPORTED = 3
"""Of a bundle whose networks are ONNX graphs, which older code cannot load; its description is that of `FORMAT`."""


def _without_bias(old: dict[str, Any]) -> dict[str, Any]:
    """Fits of format 1 were calibrated by a temperature alone."""
    none = [0.0] * len(old["classes"])
    return old | {"fits": [{**fit, "bias": none} for fit in old["fits"]]}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _without_bias}
"""Format -> changes a description of it, of any content, into one of the next format: so that older bundles load."""

TOLERANCE = 0.05
"""Largest `tolerance` of a bundle."""

MODALITIES = ("video", "image", "table")

MEMBERS = 10_000
"""Most files of a bundle."""

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}"  # no `..`, no hidden file, nothing that another system reads otherwise
_FILE = re.compile(rf"{_PART}(/{_PART}){{0,9}}")
_NAME = re.compile(r"\w[\w .+-]{0,99}")
_SHA256 = re.compile("[0-9a-f]{64}")


class Fit(TypedDict):
    """A fitted model in a bundle.

    Args:
        folder: Where `fit.json` and the model lie.
        temperature: Divides its logits.
        bias: Is added to them then, a value for each class.
    """

    folder: str
    temperature: float
    bias: list[float]


class Metric(TypedDict):
    """A metric, with the ends of its 95 % interval; None where undefined.

    Args:
        decision: `argmax`, `val`, or empty, as in the table of metrics.
    """

    metric: str
    decision: str
    value: float | None
    low: float | None
    high: float | None


class Training(TypedDict):
    """What a model was trained on; `labels` is label -> videos."""

    videos: int
    groups: int
    folds: int
    labels: dict[str, int]
    digest: str


class Table(TypedDict):
    """What the rows of a table are, for a model that learned from one.

    Args:
        columns: Column that it learned from -> its kind, one of `clipfold.table.cells.KINDS`.
        categories: Column of categories -> those of the training data, the most frequent first.
        names: The table's own names for `label`, `id`, `group` and `split`.
    """

    columns: dict[str, str]
    categories: dict[str, list[str]]
    names: dict[str, str]


class Description(TypedDict):
    """The keys of `bundle.json`.

    Args:
        modality: What it predicts, `video`, `image` or `table`; bundles made before there were others have none.
        positive: The class of two that the threshold is for.
        threshold: Calibrated probability above which a video counts as the positive class, in [0, 1].
        settings: Of the model.
        decode: Settings, as are `probe` and `policy`.
        metrics: Of the pooled out-of-fold predictions.
        created: ISO date.
        final: Whether the only fit is one on all data.
        files: Name -> SHA-256 of all other files.
        table: What its rows are, for a model that learned from a table; None for videos. Older bundles lack it.
        tolerance: Largest difference of a probability in the golden test, of exported bundles.
        feature_versions: Of the groups of features that the fits read; older bundles lack it, and have version 1.
    """

    format: int
    modality: NotRequired[str]
    name: str
    architecture: str
    input: str
    classes: list[str]
    positive: str | None
    threshold: float | None
    fits: list[Fit]
    final: bool
    settings: dict[str, Any]
    decode: dict[str, Any]
    probe: dict[str, Any]
    policy: dict[str, Any]
    metrics: list[Metric]
    training: Training
    leakage: str
    licences: list[str]
    versions: dict[str, str]
    created: str
    files: dict[str, str]
    table: NotRequired[Table | None]
    tolerance: NotRequired[float]
    feature_versions: NotRequired[dict[str, int]]


def parse_description(content: bytes, where: str) -> Description:
    """Read and check a description. Further keys pass.

    Args:
        content: JSON.
        where: Its file, for messages.

    Raises:
        ValueError: It is no JSON, of another format, or a key is missing or holds what it must not.
    """
    found = parse(content, where)
    version = found.get("format") if isinstance(found, dict) else None
    oldest, newest = min([FORMAT, *UPGRADES]), max(FORMAT, EXPORTED)
    other = (
        f"this version of clipfold reads {oldest} to {newest}: use the version that made the bundle, or make it again"
    )
    require(type(version) is int and oldest <= version <= newest, f"{where}: format", version, other)
    assert isinstance(version, int)
    try:
        for older in range(version, FORMAT):
            found = UPGRADES[older](found) | {"format": older + 1}
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{where} is no description of format {version} ({error}): make the bundle again") from None
    check_shape(where, found, Description)
    description = cast(Description, found)
    _check_values(where, description)
    check_table(f"{where}: table", description.get("table"))
    check_files(where, description["files"])
    for fit in description["fits"]:
        record = f"{fit['folder']}/fit.json"
        require(record in description["files"], f"{where}: fits: folder", fit["folder"], f"files must list {record}")
    return description


def check_table(where: str, table: Table | None) -> None:
    """Check what a description says of a table.

    Raises:
        ValueError: A kind or name is unknown, there are no columns, or the categories are of others.
    """
    if table is None:
        return
    for name, kind in table["columns"].items():
        require(kind in KINDS, f"{where}: columns: {name}", kind, f"use one of {', '.join(KINDS)}")
        listed = (name in table["categories"]) == (kind == CATEGORY)
        require(listed, f"{where}: categories: {name}", name in table["categories"], "list those of categories")
    require(bool(table["columns"]), f"{where}: columns", [], "name one or more")
    names = sorted(table["names"])
    require(set(names) <= {*NAMED}, f"{where}: names", names, f"use any of {', '.join(NAMED)}")


def parse(content: str | bytes, where: str) -> Any:
    """Read JSON from strangers.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    try:
        return parse_json(content if isinstance(content, bytes) else content.encode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is no JSON ({error}): make it again") from None


def check_name(where: str, name: str) -> None:
    """Check a name to look a bundle up by."""
    require(
        bool(_NAME.fullmatch(name)), where, name, "use at most 100 letters, digits, blanks and _.+-, no sign in front"
    )


def check_file(where: str, name: str) -> None:
    """Check that the name of a file stays within a folder, on any system."""
    remedy = "a bundle holds only files below it, named by letters, digits and _.+-: remove it"
    require(bool(_FILE.fullmatch(name)), where, name, remedy)


def check_files(where: str, files: dict[str, str]) -> None:
    """Check names and digests of the other files."""
    require(len(files) <= MEMBERS, f"{where}: files", len(files), f"a bundle holds at most {MEMBERS}")
    for name, digest in files.items():
        check_file(f"{where}: files", name)
        require(bool(_SHA256.fullmatch(digest)), f"{where}: files: {name}", digest, "use a SHA-256, 64 hex digits")


def metric_name(metric: Metric) -> str:
    """Name a metric by what it measures and, unless this is the most probable class, what decides.

    >>> metric_name({"metric": "accuracy", "decision": "val", "value": 0.9, "low": 0.8, "high": 1.0})
    'accuracy.val'
    """
    own = metric["decision"] in ("", "argmax")
    return metric["metric"] if own else f"{metric['metric']}.{metric['decision']}"


def _check_values(where: str, found: Description) -> None:
    """Check what types do not say."""
    check_name(f"{where}: name", found["name"])
    modality = found.get("modality", "video")
    tolerance = found.get("tolerance", 0)
    require(0 <= tolerance <= TOLERANCE, f"{where}: tolerance", tolerance, f"use 0 to {TOLERANCE:g}")
    require(modality in MODALITIES, f"{where}: modality", modality, f"use one of {', '.join(MODALITIES)}")
    require(found["architecture"].isidentifier(), f"{where}: architecture", found["architecture"], "use a name")
    inputs = ("features", "clips", "predictions")
    require(found["input"] in inputs, f"{where}: input", found["input"], f"use one of {', '.join(inputs)}")
    classes = found["classes"]
    require(len(classes) >= 2 and len({*classes}) == len(classes), f"{where}: classes", classes, "use two or more")
    two = len(classes) == 2
    fit = found["positive"] in classes if two else found["positive"] is None
    require(fit, f"{where}: positive", found["positive"], "use one of two classes, null for more")
    threshold = found["threshold"]
    fit = (threshold is not None and 0 <= threshold <= 1) if two else threshold is None
    require(fit, f"{where}: threshold", threshold, "use a number in [0, 1] for two classes, null for more")
    require(bool(found["fits"]), f"{where}: fits", [], "name one or more")
    for each in found["fits"]:
        require(each["temperature"] > 0, f"{where}: fits: temperature", each["temperature"], "use a positive number")
        fit = len(each["bias"]) == len(classes)
        require(fit, f"{where}: fits: bias", each["bias"], "use a number for each class")
    names = [metric_name(metric) for metric in found["metrics"]]
    require(len({*names}) == len(names), f"{where}: metrics", names, "name each once")
    try:
        datetime.date.fromisoformat(found["created"])
    except ValueError:
        require(False, f"{where}: created", found["created"], "use a date, such as 2024-01-31")


def check_shape(where: str, value: Any, shape: Any) -> None:
    """Check a value of JSON against a type: a TypedDict, list, dict with text keys, optional or plain type.

    Raises:
        ValueError: It is of another type, has control characters in a text, or an infinite or negative number.
    """
    if is_typeddict(shape):
        _expect(type(value) is dict, where, value, "keys and values")
        for key, kind in get_type_hints(shape).items():
            if key not in value:
                if key in shape.__optional_keys__:
                    continue
                raise ValueError(f"{where} has no {key}: make the bundle again")
            check_shape(f"{where}: {key}", value[key], kind)
    elif get_origin(shape) is UnionType:
        if value is not None:
            check_shape(where, value, get_args(shape)[0])
    elif get_origin(shape) is list:
        _expect(type(value) is list, where, value, "a list")
        for each in value:
            check_shape(where, each, get_args(shape)[0])
    elif get_origin(shape) is dict:
        _expect(type(value) is dict, where, value, "keys and values")
        for key, each in value.items():
            check_shape(where, key, str)
            check_shape(f"{where}: {key}", each, get_args(shape)[1])
    elif shape is float:
        _expect(type(value) in (int, float) and abs(value) < 1e300, where, value, "a finite number")
    elif shape is int:
        _expect(type(value) is int and 0 <= value < 1 << 53, where, value, "a whole number, 0 or more")
    elif shape is str:
        _expect(type(value) is str and value.isprintable(), where, value, "text without control characters")
    elif shape is bool:
        _expect(type(value) is bool, where, value, "true or false")
    else:
        assert shape is Any, shape


def _expect(fits: bool, where: str, value: Any, kind: str) -> None:
    if not fits:
        raise ValueError(f"{where} is {value!r:.80}: it must be {kind}")
