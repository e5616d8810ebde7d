"""Write what a layout found as a manifest, and say what that is."""

import csv
import io
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from clipfold.checks import require
from clipfold.manifest.groups import SEPARATOR, components, grouping_notes, is_group, read_values
from clipfold.manifest.make.files import suffix_of
from clipfold.manifest.make.found import Found
from clipfold.manifest.names import check_printable, plain
from clipfold.manifest.suffixes import PICTURES
from clipfold.storage.replace import write_whole

_FIRST = ("path", "label", "group", "split", "start", "end")
_SHOWN = 5
_CLASSES = 20


def settle(found: Found) -> None:
    """Leave out the rows that no manifest can hold, and give the splits the words of a manifest.

    Raises:
        ValueError: No row is left.
    """
    for row in found.rows:
        row["label"] = plain(row.get("label", ""))
    kept: dict[tuple[str, ...], dict[str, str]] = {}
    contradicted: set[tuple[str, ...]] = set()
    for row in found.rows:
        if not _can_be_written(row):
            found.leave("its name is not UTF-8, too long, or has control characters: rename it", [row["path"]])
            continue
        key = (row["path"], row.get("start", ""), row.get("end", ""))
        if kept.setdefault(key, row)["label"] != row["label"]:
            contradicted.add(key)
    found.leave("listed with different labels", (key[0] for key in contradicted))
    found.rows = [row for key, row in kept.items() if key not in contradicted]
    if any(row.get("split") for row in found.rows):
        found.leave("in no split", (row["path"] for row in found.rows if not row.get("split")))
        found.rows = [row for row in found.rows if row.get("split")]
        splits = {row["split"] for row in found.rows if row["label"]}
        if "test" not in splits and "val" in splits:
            _test_on_validation(found)
    odd = sorted({name for row in found.rows for name in row if plain(name) != name or not name.isprintable()})
    if odd:
        found.notes.append(f"{len(odd)} columns are left out, since their names cannot be shown: {odd[0]!r}")
        found.rows = [{name: text for name, text in row.items() if name not in odd} for row in found.rows]
    require(bool(found.rows), "number of rows", 0, "nothing has a place in the manifest" + _unplaced(found))


def _test_on_validation(found: Found) -> None:
    """Make the split `val` the split `test`, which has no labels: Kinetics is used so."""
    for row in found.rows:
        row["split"] = {"val": "test"}.get(row["split"], row["split"])
    found.notes.append("no test split with labels: val became test; a run takes validation videos from train")


def _can_be_written(row: dict[str, str]) -> bool:
    try:
        "".join(row.values()).encode()
        for name in ("path", "label", "group"):
            check_printable(name, row.get(name, ""))
    except ValueError:
        return False
    return True


def has_splits(found: Found) -> bool:
    """Return whether the rows can be used with `splits.scheme: column`: each class is in train and in test."""
    classes = {split: {r["label"] for r in found.rows if r.get("split") == split} for split in ("train", "test")}
    return bool(classes["train"]) and classes["train"] - {""} == classes["test"] - {""} != set()


def write_manifest(found: Found, output: Path, *, force: bool) -> None:
    """Write the rows, with paths relative to the manifest; columns that are empty in all rows are left out.

    Raises:
        ValueError: The file exists, or its suffix is not that of a text table.
    """
    require(
        output.name.lower().endswith((".csv", ".tsv")), "output", str(output), "use a name that ends in .csv or .tsv"
    )
    require(force or not os.path.lexists(output), "output", str(output), "it exists: use another name, or --force")
    folder = os.path.realpath(output.parent)  # where `..` leads from there
    names = dict.fromkeys((*_FIRST, *(name for row in found.rows for name in row)))
    columns = [name for name in names if name in ("path", "label") or any(row.get(name) for row in found.rows)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if output.suffix.lower() == ".tsv" else ",", lineterminator="\n")
    writer.writerow(columns)
    for row in found.rows:
        path = os.path.relpath(row["path"], folder)
        writer.writerow([path if name == "path" else row.get(name, "") for name in columns])
    write_whole(output, text.getvalue().encode())


def next_command(found: Found, output: Path) -> str:
    """Return the command that shows what a run with this manifest would do, ready for a shell."""
    config = [f"manifest={_text(str(output.absolute()))}"]
    if has_splits(found):
        config.append("splits={scheme: column}")
    if all(suffix_of(row["path"]) in PICTURES for row in found.rows):
        config.append("modality=image")
    return shlex.join(["snakemake", "--dry-run", "--profile", "profiles/local", "--config", *config])


def _text(name: str) -> str:
    """Quote a text that Snakemake would read as something else: as YAML, without quotes at its ends."""
    return name if re.fullmatch(r"[\w./-]+", name) else f" {json.dumps(name, ensure_ascii=False)} "


def described(found: Found) -> str:
    """Say what was found: rows by class and split, groups and why, and what has no place."""
    rows = found.rows
    splits = Counter(row["split"] for row in rows if row.get("split"))
    classes = Counter(row["label"] for row in rows)
    total = f"{len(rows)} rows in {len(classes.keys() - {''})} classes"
    lines = [total + (f": {_counts(splits)}" if splits else "")]
    for label, number in sorted(classes.items())[:_CLASSES]:
        own = Counter(row["split"] for row in rows if row["label"] == label and row.get("split"))
        lines.append(f"  {label or '(no label)'}: {number}" + (f" ({_counts(own)})" if own else ""))
    if len(classes) > _CLASSES:
        lines.append(f"  and {len(classes) - _CLASSES} more classes")
    values = [read_values([row[name] for name in row if is_group(name, "group")], SEPARATOR) for row in rows]
    name = components(values)
    groups = {*name.values()}
    lines.append(f"groups{f' ({len(groups)})' if groups else ''}: {found.groups}")
    lines += [f"note: {note}" for note in (*_bounded(found.notes), *grouping_notes(values)) if note]
    split_of: dict[str, set[str]] = {}
    for row, named in zip(rows, values, strict=True):
        if named and row.get("split"):
            split_of.setdefault(name[named[0]], set()).add(row["split"])
    crossing = sorted(group for group, own in split_of.items() if len(own) > 1)
    if crossing:
        lines.append(
            f"note: {len(crossing)} groups are in several splits ({', '.join(_bounded(crossing))}), at which a run "
            "stops: allow_leakage: [groups] in the config marks the tables instead"
        )
    return "\n".join(_shown(line) for line in lines) + _unplaced(found)


def _counts(splits: Counter[str]) -> str:
    return ", ".join(f"{name} {splits[name]}" for name in ("train", "val", "test") if splits[name])


def _unplaced(found: Found) -> str:
    lines = [
        f"not placed: {len(names)} ({reason}): {', '.join(_bounded(sorted(names)))}"
        for reason, names in sorted(found.unplaced.items())
        if names
    ]
    return "".join("\n" + _shown(line) for line in lines)


def _bounded(names: list[str]) -> Iterable[str]:
    return names if len(names) <= _SHOWN else [*names[:_SHOWN], f"and {len(names) - _SHOWN} more"]


def _shown(text: str) -> str:
    """Make a text safe to print: control characters would command a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
