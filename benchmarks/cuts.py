"""Cut whole videos of many containers at many places, and compare the statuses with what the ffmpeg program says.

    python benchmarks/cuts.py --cuts 60 --json cuts.json

A cut file may be `ok` only where ffmpeg shows it without an error: some containers store no sizes, and a cut between
two packets leaves a shorter whole file. The exit status is 1 if a cut file is `ok` though ffmpeg reports an error.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from helpers.corpus.whole import WHOLE, shown, write_whole

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard


def cut_one(whole: Path, cuts: int, folder: Path) -> dict[str, Any]:
    """Probe and decode cut copies of a file; return the number per status, and the mistakes."""
    data, rng = whole.read_bytes(), random.Random(whole.name)
    paths = {}
    for number in range(cuts):
        path = folder / f"{number:03}{whole.suffix}"
        path.write_bytes(data[: rng.randrange(1, len(data))])
        paths[path.name] = str(path)
    metadata, index = folder / "metadata.parquet", folder / "index.parquet"
    settings = DecodeSettings(size=32, views={"clips": {"kind": "uniform", "frames": 4}})
    probe_shard(paths, metadata, ProbeSettings(), 2)
    decode_shard(paths, metadata, {"clips": folder / "clips.npy"}, index, settings, 2)
    rows = read_table(index).to_pylist()
    mistakes = [row["id"] for row in rows if row["status"] == "ok" and not shown(Path(paths[row["id"]]))[1]]
    return {"statuses": Counter(row["status"] for row in rows), "mistakes": mistakes}


def main() -> None:
    """Cut the files and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=60, help="places at which each file is cut")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    results = {}
    with tempfile.TemporaryDirectory() as place:
        for name in WHOLE:
            whole = write_whole(Path(place), name)
            folder = Path(place, name + ".cuts")
            folder.mkdir()
            results[name] = cut_one(whole, args.cuts, folder)
            found = ", ".join(f"{count} {status}" for status, count in results[name]["statuses"].most_common())
            print(f"{name:24} {found}; {len(results[name]['mistakes'])} ok by mistake", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(any(each["mistakes"] for each in results.values()))


if __name__ == "__main__":
    main()
