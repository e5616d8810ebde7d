"""Run the commands `clipfold predict` and `clipfold drift` and the rules `predict` and `predictions`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from clipfold.checks import require
from clipfold.delivery.drift import drift
from clipfold.delivery.drift_page import write_drift_page
from clipfold.delivery.embedding import COLUMN
from clipfold.delivery.external import external_test
from clipfold.delivery.outputs import check_output
from clipfold.delivery.page import external_facts, write_page
from clipfold.delivery.predict import predict_to, read_predictions, write_predictions
from clipfold.delivery.remembered import read_reference
from clipfold.delivery.rows import Rows, predict_rows
from clipfold.delivery.sources import Sources
from clipfold.storage.files import PathLike, read_frame, write_json

if TYPE_CHECKING:
    from clipfold.delivery.opened import OpenBundle


@dataclass(frozen=True, slots=True)
class Done:
    """What came out.

    Args:
        total: Videos that were named.
        predicted: Videos that were predicted.
        text: Both, why the others were not, and what was written.
    """

    total: int
    predicted: int
    text: str


def predict_sources(
    bundle: "OpenBundle",
    found: Sources,
    output: Path,
    page: bool,
    workers: int | None,
    progress: Callable[[int], Any],
) -> Done:
    """Predict the videos that a user named; write the table and, beside it, the page.

    Args:
        bundle: The bundle.
        found: The videos.
        output: Table to write, see `predict_to`.
        page: Whether to write the page, `output` with the suffix `.html`.
        workers: Processes to decode with; all cores by default.
        progress: Makes a progress bar for a number of videos.
    """
    with progress(len(found.paths)) as bar:
        finish = partial(_with_given, labels=found.labels, groups=found.groups)
        table = predict_to(
            bundle, found.paths, output, workers, progress=bar.update, finish=finish, stated=found.stated
        )
    written = [output]
    if page:
        written.append(output.with_suffix(".html"))
        write_page(bundle, table, external_test(table, bundle.ordered, found.labels, found.groups), written[-1])
    return summary(table, written, bundle.noun)


def predict_tables(
    bundle: "OpenBundle", found: Rows, outputs: Sequence[Path], page: Path | None, report: Path | None = None
) -> Done:
    """Predict the rows of the tables that a user named; write tables, and page and `report` where they have a path.

    Raises:
        ValueError: A table that is to be written has a suffix of no table.
    """
    for output in outputs:
        check_output(output)
    table = _with_given(predict_rows(bundle, found), found.labels, found.groups)
    for output in outputs:
        write_predictions(table, output)
    external = external_test(table, bundle.ordered, found.labels, found.groups)
    if page:
        write_page(bundle, table, external, page)
    if report:
        write_json(report, external_facts(bundle, external))
    return summary(table, [*outputs, *([page] if page else [])], "row")


def collect_predictions(
    bundle: "OpenBundle",
    shards: Sequence[PathLike],
    labels: Mapping[str, str],
    groups: Mapping[str, str],
    outputs: Sequence[Path],
    page: Path,
    report: Path,
) -> None:
    """Join the predictions of all shards, and write tables and page as `predict_sources` does.

    Args:
        bundle: The bundle.
        shards: Tables of predictions.
        labels: id -> true class, where it is known.
        groups: id -> recording, person or camera, where it is known.
        outputs: Tables to write.
        page: HTML file to write.
        report: JSON to write: what the report says of the external test, null without labels.
    """
    table = _with_given(read_frame(shards), labels, groups)
    for output in outputs:
        write_predictions(table, output)
    external = external_test(table, bundle.ordered, labels, groups)
    write_page(bundle, table, external, page)
    write_json(report, external_facts(bundle, external))


def _with_given(table: pd.DataFrame, labels: Mapping[str, str], groups: Mapping[str, str]) -> pd.DataFrame:
    """Add the columns `true_label` and `group`, if they are known for some videos."""
    given = {"true_label": labels, "group": groups}
    return table.assign(**{name: table.id.map(values) for name, values in given.items() if values})


def summary(table: pd.DataFrame, written: list[Path], noun: str = "video") -> Done:
    """Say what came out, in a few words."""
    predicted = int((table.status == "ok").sum())
    counts = Counter(table.status[table.status != "ok"])
    others = "".join(f", {count} {status}" for status, count in counts.most_common())
    seen = int(table.seen.sum())
    others += f", {seen} of them training {noun}s" if seen else ""
    unknown = int(((table.status == "ok") & (table.reason != "")).sum())
    others += f", {unknown} of them with categories that are not in the training data" if unknown else ""
    text = f"{predicted} of {len(table)} {noun}s predicted{others}; wrote {', '.join(map(str, written))}"
    return Done(len(table), predicted, text)


def compare_drift(bundle: "OpenBundle", predictions: Path, output: Path) -> str:
    """Compare predicted videos with the training data, write the page and return what it says first.

    Args:
        bundle: The bundle that predicted.
        predictions: Table that `predict_sources` wrote.
        output: HTML file to write.

    Raises:
        ValueError: Another bundle predicted, or the table cannot be used.
    """
    reference = read_reference(bundle.folder, bundle.classes, bundle.inputs)
    table = read_predictions(predictions)
    if bundle.embedded:
        reference[COLUMN] = bundle.embedded.own
    others = sorted({*table.get("bundle", [])} - {bundle.id})
    require(not others, "predictions", str(predictions), f"they are by {', '.join(map(str, others))}: use its bundle")
    found = drift(reference, table, bundle.classes)
    if bundle.table:
        found = replace(found, reason=found.reason.replace("videos", "rows"))
    write_drift_page(found, output, bundle.name, predictions.name, bundle.noun)
    return f"{found.verdict}: {found.reason}\n{output}"
