"""WebDataset: tar files with samples of several members, `sample.mp4` and `sample.cls`."""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from clipfold.checks import require
from clipfold.manifest.make.files import group_by_name, suffix_of
from clipfold.manifest.make.found import SPLIT_OF, Found, Options
from clipfold.manifest.make.lists import read_classes
from clipfold.manifest.suffixes import PICTURES, VIDEOS

_LARGEST = 2**20
"""Most bytes of a label or a description."""

_SIDES = ("cls", "json", "txt")
_LABELS = ("label", "class", "cls", "category")


def make(source: Path, options: Options) -> Found:
    """List the samples of tar files; nothing is unpacked. A path is `shard-000.tar/sample.mp4`.

    A sample is the members with the same name up to the first dot of its last part, as in WebDataset. Its label is its
    `.cls`, a field of its `.json`, or its `.txt`. A shard whose name has `train`, `val` or `test` gives the split.

    Args:
        source: A tar file, or a folder with some below it.
        options: `classes` names the numbers of `.cls`; `label` and `group` are fields of `.json`.

    Raises:
        ValueError: There is no tar file.
    """
    require(source.exists(), "source", str(source), "no such file or folder")
    found = Found()
    tars = sorted(source.resolve().rglob("*.tar")) if source.is_dir() else [source.resolve()]
    if source.is_dir():
        packed = [str(p) for p in sorted(source.rglob("*.tar.*")) if p.suffix in (".gz", ".bz2", ".xz", ".zst")]
        found.leave("a packed tar file: unpack it to .tar, as by gunzip", packed)
    require(bool(tars), "source", str(source), "no .tar file below it")
    classes = read_classes(options.classes) if options.classes else {}
    for path in tars:
        split = next((SPLIT_OF[w] for w in path.stem.lower().replace("_", "-").split("-") if w in SPLIT_OF), "")
        for sample in _samples(path, found).values():
            if not sample.media:
                found.leave("a sample without a video or an image", [f"{path}/{sample.key}"])
                continue
            label, group = _told(sample.sides, options, found, sample.media)
            row = {
                "label": classes.get(int(label), label) if label.isdecimal() else label,
                "group": group,
                "split": split,
            }
            found.rows.append({"path": f"{path}/{sample.media}"} | row)
    videos = [row for row in found.rows if suffix_of(row["path"]) in VIDEOS]
    if videos:
        found.leave("an image among videos", (row["path"] for row in found.rows if suffix_of(row["path"]) in PICTURES))
        found.rows = videos
    texts = {row["label"] for row in found.rows}
    require(
        len(texts) <= max(20, len(found.rows) // 2),
        "label",
        f"{len(texts)} different ones",
        "these are captions rather than classes: name the field of .json with the class by --label",
    )
    if any(row["group"] for row in found.rows):
        found.groups = f"the field {options.group or 'group'} of .json"
    else:
        group_by_name(found)
    return found


class _Sample:
    def __init__(self, key: str) -> None:
        self.key = key
        self.media = ""
        self.sides: dict[str, bytes] = {}


def _samples(path: Path, found: Found) -> dict[str, _Sample]:
    """Read the small members of a tar file, and the names of the others: key -> sample."""
    samples: dict[str, _Sample] = {}
    try:
        with tarfile.open(path, "r:") as tar:  # as it is: a packed one could unpack to anything
            for member in tar:
                name = PurePosixPath(member.name)
                if member.isdir():
                    continue
                if not member.isfile() or name.is_absolute() or ".." in name.parts:
                    found.leave("a link, a device, or a name that leads out of the tar file", [f"{path}/{member.name}"])
                    continue
                stem, _, ending = name.name.partition(".")
                key = str(name.parent / stem)
                sample = samples.setdefault(key, _Sample(key))
                suffix = "." + ending.rpartition(".")[2].lower()
                if suffix in VIDEOS or (suffix in PICTURES and not sample.media):
                    sample.media = str(name)
                elif ending.lower() in _SIDES and member.size <= _LARGEST:
                    file = tar.extractfile(member)
                    sample.sides[ending.lower()] = file.read(_LARGEST) if file else b""
                elif ending.lower() not in _SIDES:
                    found.leave("another member of a sample", [f"{path}/{member.name}"])
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        found.leave(f"cannot be read to its end ({error})", [str(path)])
    return samples


def _told(sides: Mapping[str, bytes], options: Options, found: Found, name: str) -> tuple[str, str]:
    """Return label and group of a sample; empty where it tells none."""
    fields: Mapping[str, object] = {}
    if "json" in sides:
        try:
            data = json.loads(sides["json"])
            fields = data if isinstance(data, dict) else {"label": data}
        except (ValueError, RecursionError):
            found.notes.append(f"{name}: its .json cannot be read")
    group = str(fields.get(options.group or "group", ""))
    wanted = (options.label,) if options.label else _LABELS
    described = next((str(fields[field]) for field in wanted if field in fields), "")
    if options.label:
        return described, group
    text = next((sides[side].decode("utf-8", "replace").strip() for side in ("cls", "txt") if side in sides), "")
    return (text if "cls" in sides else described or text), group
