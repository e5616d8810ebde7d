"""Measure the size of a large run's report, and the time a browser takes to show it.

    python benchmarks/report.py --videos 5000 --models 12 --json report.json
    python benchmarks/report.py --videos 6000 --models 2 --classes 400 --json classes.json

The run is made up: tables as the rules write them, random predictions, the normal evaluation. Half of the models are
networks with learning curves and explained clips. Times are from opening the file in headless Chromium to the second
frame painted after loading; the best of five counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as the workflow gives the evaluation
PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from helpers.browser import Browser  # noqa: E402
from helpers.evaluated import FIGURES  # noqa: E402
from helpers.made_up_run import write_run  # noqa: E402

from clipfold.report.write import write_report  # noqa: E402

PDFS = tuple(f"{name}_pdf" for name in FIGURES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=5000)
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="where to keep the page")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        names = tuple(f"class {i:03}" for i in range(args.classes))
        run = write_run(Path(folder), names, models=args.models, count=args.videos)
        evaluated = time.perf_counter()
        write_report(run)
        written = time.perf_counter()
        page = run.output
        with Browser() as browser:
            opened = [browser.open(page) for _ in range(5)]
            problems = list(browser.problems)
            before = time.perf_counter()
            browser.choose("#videos-controls [name=wrong]", "0")
            chosen = time.perf_counter() - before
        result = {
            "videos": args.videos,
            "models": args.models,
            "classes": args.classes,
            "figures_megabytes": {n: round(run.evaluation[n].stat().st_size / 1e6, 2) for n in (*FIGURES, *PDFS)},
            "megabytes": round(page.stat().st_size / 1e6, 2),
            "evaluate_s": round(evaluated - started, 1),
            "write_s": round(written - evaluated, 1),
            "open_s": round(min(opened), 2),
            "slowest_open_s": round(max(opened), 2),
            "filter_s": round(chosen, 3),
            "problems": problems,
        }
        if args.keep:
            args.keep.write_bytes(page.read_bytes())
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
