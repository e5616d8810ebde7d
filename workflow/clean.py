"""Remove a run's results and logs: `python workflow/clean.py FOLDER [--all]`, see `clipfold.storage.clean`."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # any Python runs this, also one without the package

from clipfold.storage.clean import clean

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the working directory of the runs")
    parser.add_argument("--all", action="store_true", help="remove Snakemake's records (.snakemake) too")
    args = parser.parse_args()
    try:
        clean(args.folder, args.all)
    except ValueError as error:
        raise SystemExit(str(error)) from None
