"""Remove a run's results and logs: `python workflow/clean.py FOLDER [--all]`.

Lists what it keeps and asks first. Removes only file types that the workflow writes, in the folders that it writes to:
a video or a table that someone put among the results stays. Does not follow links: where `results`, `logs` or
`.snakemake` is one, what it points to stays. `--all` also removes Snakemake's
records, so that the next run starts from scratch.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # any Python runs this, also one without the package

from clipfold.storage.layout import ESTIMATES, LOGS, RESULTS

KINDS = {".parquet", ".npy", ".json", ".tsv", ".safetensors", ".skops", ".svg", ".pdf", ".tex", ".html", ".pt", ".part"}
KINDS |= {".clipfold", ".md"}


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
                ours = file.suffix in kinds or file.name == "history.csv" or file.name.startswith("events.out.tfevents")
                if ours and not file.is_symlink():
                    yield file


def main() -> None:
    """Ask, then remove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the working directory of the runs")
    parser.add_argument("--all", action="store_true", help="remove Snakemake's records (.snakemake) too")
    args = parser.parse_args()
    if any((args.folder / ".snakemake/locks").glob("*")):
        raise SystemExit(f"{args.folder} is locked: a run is active there, or was killed (then run snakemake --unlock)")
    files = sorted(made(args.folder))
    records = [path for path in [args.folder / ".snakemake"] if args.all and path.is_dir() and not path.is_symlink()]
    tops = [top for top in ("results", "logs") if not (args.folder / top).is_symlink()]
    if not files and not records:
        raise SystemExit(f"{args.folder} has no results or logs of the workflow")
    gone = {*files}
    below = [p for top in tops for p in (args.folder / top).rglob("*") if p.is_symlink() or not p.is_dir()]
    inside = [p for p in below if p not in gone]
    beside = [p for p in args.folder.iterdir() if p.name not in (*tops, *(r.name for r in records))]
    print(f"keeps: {', '.join(str(path) for path in sorted([*beside, *inside])) or 'nothing else is there'}")
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"removes: {len(files)} files, {size:.1f} MB, below {args.folder}/results and logs", *records, sep=", ")
    if input("Remove them? [y/N] ").strip().lower() not in ("y", "yes"):
        raise SystemExit("nothing was removed")
    for path in files:
        path.unlink()
    for top in tops:
        for path, _, _ in os.walk(args.folder / top, topdown=False):
            if not os.listdir(path) and not os.path.islink(path):
                os.rmdir(path)
    for path in records:
        shutil.rmtree(path)


if __name__ == "__main__":
    main()
