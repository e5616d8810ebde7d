"""Simulate how often the check for groups that are too fine gives an alarm: where they are, and where they are right.

    python benchmarks/coarser_groups.py --runs 200 --json coarser_groups.json

Places have 1 to some 20 videos (geometric, mean 5) of two classes, mixed otherwise in each. Videos of a place share a
third of the variance of eight features (`whole_runs.draw`) and most of how they look. Groups are right where each is a
place, and too fine where each place is two or three. The check is the workflow's own; an alarm is p below 0.05.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import whole_runs

from clipfold.evaluation.coarser_groups import score_coarser_groups
from clipfold.storage.files import read_json, write_table

PARTS = {"right": 1, "too fine, two of each place": 2, "too fine, three of each": 3}
LOOKS = 8


def run(folder: Path, number: int, places: int, signal: float, parts: int) -> float:
    """Draw videos, write what the check reads, and return its p."""
    random = np.random.default_rng([places, number, parts, int(signal)])
    (x,), y, place = whole_runs.draw(random, places, "two classes", signal, 1)
    looks = random.normal(size=(places, LOOKS))[place] + 0.5 * random.normal(size=(len(y), LOOKS))
    ids = [f"{i:05}" for i in range(len(y))]
    group = [f"{p:04}-{part}" for p, part in zip(place, random.integers(0, parts, len(y)), strict=True)]
    table = pd.DataFrame(
        np.hstack([x, looks]), columns=[*(f"motion.{i}" for i in range(8)), *(f"frame.{i}" for i in range(LOOKS))]
    )
    table.insert(0, "id", ids)
    splits = {"id": ids, "label": [str(c) for c in y], "group": group, "fold": 0, "repeat": 0, "split": "train"}
    matches = pa.table({"first": pa.array([], pa.string()), "second": pa.array([], pa.string())})
    files = {name: folder / f"{name}.parquet" for name in ("features", "splits", "matches")}
    for name, content in (("features", table), ("splits", pd.DataFrame(splits)), ("matches", matches)):
        write_table(
            files[name],
            content if isinstance(content, pa.Table) else pa.Table.from_pandas(content, preserve_index=False),
        )
    score_coarser_groups([files["features"]], files["splits"], files["matches"], folder / "found.json", number)
    return float(read_json(folder / "found.json")["p"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="runs per case")
    parser.add_argument("--places", type=int, nargs="+", default=[23, 50], help="numbers of places")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for places in args.places:
            for signal in (0.0, 1.0):
                for name, parts in PARTS.items():
                    found = [run(Path(folder), number, places, signal, parts) for number in range(args.runs)]
                    case = f"{places} places, {'signal' if signal else 'no signal'}, groups {name}"
                    result[case] = float(np.mean(np.array(found) < 0.05))
                    print(f"{case}: {result[case]:.3f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
