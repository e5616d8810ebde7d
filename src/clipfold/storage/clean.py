"""Remove a run's results and logs. Standard library only: any Python runs this, also one without the package.

Lists what it keeps and asks first. Removes only file types that the workflow writes, in the folders that it writes to:
a video or a table that someone put among the results stays. Does not follow links: where `results`, `logs` or
`.snakemake` is one, what it points to stays.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from clipfold.storage.layout import ESTIMATES, LOGS, RESULTS

KINDS = {".parquet", ".npy", ".json", ".tsv", ".safetensors", ".skops", ".svg", ".pdf", ".tex", ".html", ".pt", ".part"}
KINDS |= {".clipfold", ".md", ".rows"}
NAMES = {"history.csv", "predictions.csv"}


def made(folder: Path) -> Iterator[Path]:
    """Find the files that the workflow wrote below a folder."""
    places = [folder / LOGS, *(folder / "results" / name for name in RESULTS)]
    if not (folder / "results").is_symlink():
        yield from (path for path in [folder / ESTIMATES] if path.is_file() and not path.is_symlink())
    for place in places:
        kinds = KINDS if place.name != LOGS else {".log"}
        linked = place.is_symlink() or (place.parent != folder and place.parent.is_symlink())
        for path, _, names in os.walk(place) if not linked else ():
            for file in (Path(path, name) for name in names):
                named = file.name in NAMES or file.name.startswith("events.out.tfevents")
                if (file.suffix in kinds or named) and not file.is_symlink():
                    yield file


def clean(folder: Path, records_too: bool, ask: Callable[[str], str] = input) -> None:
    """Ask, then remove.

    Args:
        folder: The working directory of the runs.
        records_too: Also remove Snakemake's records, so that the next run starts from scratch.
        ask: Asks a person.

    Raises:
        ValueError: A run is active there, there is nothing to remove, or the answer was no.
    """
    if any((folder / ".snakemake/locks").glob("*")):
        raise ValueError(f"{folder} is locked: a run is active there, or was killed (then run snakemake --unlock)")
    files = sorted(made(folder))
    records = [path for path in [folder / ".snakemake"] if records_too and path.is_dir() and not path.is_symlink()]
    tops = [top for top in ("results", "logs") if not (folder / top).is_symlink()]
    if not files and not records:
        raise ValueError(f"{folder} has no results or logs of the workflow")
    gone = {*files}
    below = [p for top in tops for p in (folder / top).rglob("*") if p.is_symlink() or not p.is_dir()]
    inside = [p for p in below if p not in gone]
    beside = [p for p in folder.iterdir() if p.name not in (*tops, *(r.name for r in records))]
    print(f"keeps: {', '.join(str(path) for path in sorted([*beside, *inside])) or 'nothing else is there'}")
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"removes: {len(files)} files, {size:.1f} MB, below {folder}/results and logs", *records, sep=", ")
    if ask("Remove them? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ValueError("nothing was removed")
    for path in files:
        path.unlink()
    for top in tops:
        for name, _, _ in os.walk(folder / top, topdown=False):
            if not os.listdir(name) and not os.path.islink(name):
                os.rmdir(name)
    for path in records:
        shutil.rmtree(path)
