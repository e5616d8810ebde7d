"""Time a registry of many bundles: looking one up, listing all, and changing one entry.

    python benchmarks/registry.py --bundles 10000 --json registry.json

The bundles are real but tiny, with 12 metrics and their intervals each. They are indexed by `rebuild`. Each call then
opens the index anew, as a command does. `list` is of all bundles, sorted by a metric; `shown` also reads metrics and
classes of the first 50.
"""

import argparse
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipfold.delivery.format import listed, pack, write_description
from clipfold.delivery.registry import Registry

METRICS = (
    *("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc"),
    *("roc_auc", "average_precision", "eer", "log_loss", "brier", "ece"),
)


def make_objects(folder: Path, objects: Path, bundles: int) -> None:
    """Write the files of a registry's bundles, which differ in name and metrics."""
    dice = random.Random(0)
    (folder / "fits").mkdir(parents=True)
    (folder / "fits/fit.json").write_text("{}\n")
    description: dict[str, Any] = {
        "format": 1,
        "name": "model",
        "architecture": "svm",
        "input": "features",
        "classes": ["calm", "fight"],
        "positive": "fight",
        "threshold": 0.5,
        "fits": [{"folder": "fits", "temperature": 1.0}],
        "final": True,
        **{section: {} for section in ("settings", "decode", "probe", "policy")},
        "training": {"videos": 8, "groups": 4, "folds": 2, "labels": {"calm": 4, "fight": 4}, "digest": "00"},
        "leakage": "",
        "licences": [],
        "versions": {},
        "created": "2024-01-31",
        "files": listed(folder),
    }
    for number in range(bundles):
        metrics = [
            {"metric": metric, "decision": "", "value": dice.random(), "low": dice.random(), "high": dice.random()}
            for metric in METRICS
        ]
        write_description(folder, description | {"name": f"model_{number}", "metrics": metrics})
        identity = hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()[:16]
        pack(folder, objects / f"{identity}.clipfold")


def measure(call: Callable[[], object], rounds: int = 15) -> dict[str, float]:
    """Return milliseconds of the best and the median call, and CPU time of the best."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    return {
        "best_ms": round(min(walls), 2),
        "median_ms": round(sorted(walls)[rounds // 2], 2),
        "best_cpu_ms": round(min(cpus), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        registry = Registry(Path(root, "registry"))
        make_objects(Path(root, "bundle"), registry.folder / "objects", args.bundles)
        started = time.perf_counter()
        problems = registry.rebuild()
        rebuilt = time.perf_counter() - started
        assert not problems, problems
        entry = registry.list()[args.bundles // 2]
        registry.promote(entry.id, check=lambda path: [])

        def shown() -> list[object]:
            return [(each.classes, each.metrics) for each in registry.list("roc_auc")[:50]]

        result = {
            "bundles": len(registry.list("roc_auc")),
            "index_mb": round((registry.folder / "registry.sqlite").stat().st_size / 1e6, 1),
            "rebuild_s": round(rebuilt, 1),
            "find_id": measure(lambda: registry.find(entry.id)),
            "find_start_of_id": measure(lambda: registry.find(entry.id[:10])),
            "find_name": measure(lambda: registry.find(entry.name)),
            "find_alias": measure(lambda: registry.find("production")),
            "path": measure(lambda: registry.path("production")),
            "list": measure(lambda: registry.list("roc_auc")),
            "list_lowest_first": measure(lambda: registry.list("log_loss")),
            "shown": measure(shown),
            "promote": measure(lambda: registry.promote(entry.id, check=lambda path: [])),
        }
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
