"""The layouts by name, each with the options that it understands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from clipfold.checks import require, suggest
from clipfold.manifest.make import faceforensics, folders, huggingface, kinetics, lists, official, webdataset
from clipfold.manifest.make.found import Found, Options
from clipfold.manifest.make.write import settle


@dataclass(frozen=True, slots=True)
class Kind:
    """A layout.

    Args:
        make: Reads a source.
        options: The fields of `Options` that it understands.
    """

    make: Callable[[Path, Options], Found]
    options: frozenset[str]


KINDS: Mapping[str, Kind] = {
    "folders": Kind(folders.make, frozenset({"modality"})),
    "ucf101": Kind(official.make_ucf101, frozenset({"videos", "split"})),
    "hmdb51": Kind(official.make_hmdb51, frozenset({"videos", "split"})),
    "kinetics": Kind(kinetics.make, frozenset({"videos"})),
    "mmaction": Kind(lists.make_mmaction, frozenset({"videos", "split", "classes"})),
    "slowfast": Kind(lists.make_slowfast, frozenset({"videos", "classes"})),
    "faceforensics": Kind(faceforensics.make, frozenset({"videos", "compression"})),
    "webdataset": Kind(webdataset.make, frozenset({"classes", "label", "group"})),
    "huggingface": Kind(huggingface.make, frozenset({"classes", "label", "group"})),
}


def find_rows(kind: str, source: Path, options: Options) -> Found:
    """Read a source of some kind.

    Args:
        kind: One of `KINDS`.
        source: Folder or file.
        options: What the user says about it.

    Raises:
        ValueError: An unknown kind, an option that it does not understand, or a source that is not of this kind.
    """
    require(kind in KINDS, "kind", kind, suggest(kind, KINDS))
    for field in fields(Options):
        value = getattr(options, field.name)
        known = [name for name, each in KINDS.items() if field.name in each.options]
        unasked = value == field.default or field.name in KINDS[kind].options
        require(unasked, f"--{field.name}", str(value), f"leave it out: it is for {', '.join(known)}")
    found = KINDS[kind].make(source, options)
    settle(found)
    return found
