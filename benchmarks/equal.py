"""Compare the three ways to predict: the command, the rule, and the API must give the same numbers.

    python benchmarks/equal.py results/bundles/*/bundle.clipfold --json equal.json

The demo makes 64 videos, of which some are damaged; each bundle predicts them by `clipfold predict`, by rule `predict`
of the workflow (without a manifest to train on), and by `clipfold.load(...).predict(...)`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import clipfold
from clipfold.demo.write import make_demo

PROJECT = Path(__file__).parents[1]
RECORDINGS = (12, 4)  # of four videos each, drawn from two seeds


def by_command(bundle: Path, folder: Path) -> pd.DataFrame:
    """Predict by the command; exit code 3 is that of some videos that cannot be used."""
    predict = ["predict", bundle, "videos.csv", "--output", "command.parquet", "--no-page"]
    done = subprocess.run([sys.executable, "-m", "clipfold.cli", *map(str, predict)], cwd=folder)
    assert done.returncode in (0, 3)
    return pd.read_parquet(folder / "command.parquet")


def by_rule(bundle: Path, folder: Path) -> pd.DataFrame:
    """Predict by the workflow."""
    work = folder / f"rule-{bundle.parent.name}"
    work.mkdir()
    settings = {"manifest": "", "predict": {"manifest": str(folder / "videos.csv"), "bundle": str(bundle)}}
    (work / "config.yaml").write_text(yaml.safe_dump(settings))
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", PROJECT / "Snakefile", "--cores", "2"]
    options = ["--profile", PROJECT / "profiles/local", "--configfile", work / "config.yaml", "--directory", work]
    subprocess.run([*map(str, [*snakemake, *options])], check=True)
    return pd.read_parquet(work / "results/predictions/predictions.parquet")


def by_api(bundle: Path, folder: Path, ids: list[str]) -> pd.DataFrame:
    """Predict by the package."""
    with clipfold.load(bundle) as opened:
        return opened.predict([folder / name for name in ids]).assign(id=ids)


def compare(bundle: Path, folder: Path) -> dict[str, float]:
    """Return the number of videos and the largest difference of any number that is predicted."""
    command = by_command(bundle, folder).set_index("id")
    ways = {"rule": by_rule(bundle, folder), "api": by_api(bundle, folder, command.index.tolist())}
    numbers = [name for name in command if pd.api.types.is_float_dtype(command[name])]
    found: dict[str, float] = {"videos": len(command), "predicted": int((command.status == "ok").sum())}
    for name, table in ways.items():
        other = table.set_index("id").loc[command.index]
        assert other.status.tolist() == command.status.tolist()
        assert other.label.fillna("").tolist() == command.label.fillna("").tolist()
        difference = np.abs(other[numbers].to_numpy() - command[numbers].to_numpy())
        assert (np.isnan(difference) == np.isnan(command[numbers].to_numpy())).all()
        found[f"{name} and command"] = float(np.nanmax(difference))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+", help="bundles to predict with, each in a folder of its name")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lines = ["path"]
        for seed, sources in enumerate(RECORDINGS):
            _, *rows = make_demo(Path(place, str(seed)), seed=seed, sources=sources).read_text().splitlines()
            lines += [f"{seed}/{row.partition(',')[0]}" for row in rows]
        Path(place, "videos.csv").write_text("\n".join(lines))
        result = {bundle.parent.name: compare(bundle.resolve(), Path(place)) for bundle in args.bundles}
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
