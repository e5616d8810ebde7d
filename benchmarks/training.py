"""Compare the trainer with a bare loop and with Lightning decoding each epoch; stored with new embeddings.

    python benchmarks/training.py --videos 'clips/*.mp4' --json training.json

- engine: steps of the trainer and of bare forward/backward/step loops on preloaded float tensors take turns, each in
  its own process on one thread, with the same network and optimizer, without gradient clipping. The bare loops use the
  trainer's memory layout; PyTorch's default layout; and the trainer's layout with freed memory kept, as its jobs do.
  Medians of CPU time and of wall time. On a GPU, whole epochs take turns.
- lightning: an epoch of the trainer on decoded clips, against an epoch of the same network by Lightning with a data set
  that decodes with decord; needs the peers of requirements.txt, and --videos.
- frozen: a fit on stored embeddings, against a fit of the whole network with its encoder frozen.
"""

from __future__ import annotations

import argparse
import glob
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from bare_loop import against_bare
from decoding_epochs import against_lightning
from stored import LABELS, cpu_seconds, model, output_files, run_fit, store_clips, write_fold

from clipfold.models.embed import embed_shards
from clipfold.models.model import Model

ON_CPU = {
    "naive_cnn": {"architecture": "naive_cnn", "frames": 16, "size": 64},
    "x3d xs": {"architecture": "x3d", "variant": "xs", "frames": 4, "size": 160, "batch_size": 2},
    "vit_gru tiny": {"architecture": "vit_gru", "encoder": "vit_tiny", "frames": 16, "size": 64},
}
ON_CUDA = {
    "x3d s": {"architecture": "x3d", "variant": "s", "frames": 13, "size": 160},
    "slowfast r50": {"architecture": "slowfast", "variant": "r50_8x8", "frames": 32, "size": 224},
}


def precisions(entry: Model, folder: Path) -> dict[str, Any]:
    """Return clips per second of whole fits on a GPU: bf16 and compiled, relative to plain fp32."""
    settings = entry.settings
    videos = 16 * settings["batch_size"]
    data = store_clips(folder, videos, settings["frames"], settings["size"])
    names = [f"{number:05}" for number in range(videos)]
    labels = {name: LABELS[int(name) % 2] for name in names}
    splits = write_fold(folder / "splits.parquet", labels, {"train": names, "val": names[:2], "test": names[:2]})
    plain = {"precision": "fp32", "tf32": False, "channels_last": False, "compile": "none"}
    fast = {"precision": "bf16", "tf32": True, "channels_last": True, "compile": "max-autotune", "deterministic": False}
    speeds: dict[str, list[float]] = {"plain": [], "fast": []}
    for _ in range(3):
        for name, changes in (("plain", plain), ("fast", fast)):
            run_fit(entry, data, splits, folder / name, epochs=4, patience=4, **changes)
            seconds = pd.read_csv(folder / name / "history.csv").seconds
            speeds[name].append(3 * videos / (seconds.iloc[-1] - seconds.iloc[0]))  # the first one compiles
    medians = {name: round(statistics.median(values), 1) for name, values in speeds.items()}
    return {"clips_per_s": medians, "ratio": round(medians["fast"] / medians["plain"], 3)}


def frozen(entry: Model, folder: Path, videos: int, epochs: int, rounds: int) -> dict[str, Any]:
    """Return CPU seconds of fits of the whole network with its encoder frozen, and of fits on stored embeddings."""
    settings = entry.settings | {"freeze": True}
    data = store_clips(folder, videos, settings["frames"], settings["size"], copies=1)
    names = [f"{number:05}" for number in range(videos)]
    labels = {name: LABELS[int(name) % 2] for name in names}
    parts = {"train": names[: videos // 2], "val": names[videos // 2 : -videos // 4], "test": names[-videos // 4 :]}
    splits = write_fold(folder / "splits.parquet", labels, parts)
    embedded = data | {kind: [str(folder / f"{kind}-embedded.npy")] for kind in ("clips", "augmented")}
    once = cpu_seconds(
        lambda: [
            embed_shards({embedded[kind][0]: [data[kind][0]]}, folder / "facts.json", settings, 0, 1)
            for kind in ("clips", "augmented")
        ]
    )
    changes = {"freeze": True, "epochs": epochs, "patience": epochs}
    whole, stored = [], []
    for _ in range(rounds):
        whole.append(cpu_seconds(lambda: run_fit(entry, data, splits, folder / "whole", **changes)))
        stored.append(cpu_seconds(lambda: run_fit(entry, embedded, splits, folder / "stored", **changes)))
    medians = {"whole": statistics.median(whole), "stored": statistics.median(stored)}
    record = json.loads(Path(output_files(folder / "stored")["record"]).read_text())
    return {
        "clips": videos,
        "epochs": epochs,
        "parameters_trained": record["parameters"],
        "cpu_s_of_embedding_once": round(once, 2),
        "cpu_s_per_fit": {name: round(value, 2) for name, value in medians.items()},
        "ratio": round(medians["whole"] / medians["stored"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["engine", "frozen", "lightning"], help="which of them")
    parser.add_argument("--videos", help="pattern of the files that Lightning decodes")
    parser.add_argument("--only", nargs="+", default=[*ON_CPU, *ON_CUDA], help="which networks against a bare loop")
    parser.add_argument("--steps", type=int, default=40, help="of each side of the comparison with a bare loop")
    parser.add_argument("--rounds", type=int, default=3, help="of the other comparisons")
    parser.add_argument("--json", type=Path, help="where to write the result")
    args = parser.parse_args()
    cuda = torch.cuda.is_available()
    result: dict[str, Any] = {"device": torch.cuda.get_device_name() if cuda else "cpu"}

    def note(name: str, facts: dict[str, Any]) -> None:
        result[name] = facts
        print(f"{name}: {json.dumps(facts)}", flush=True)
        if args.json:
            args.json.write_text(json.dumps(result, indent=2) + "\n")

    with tempfile.TemporaryDirectory() as root:
        if "engine" in args.parts:
            known = ON_CPU | ON_CUDA if cuda else ON_CPU
            for number, (name, entry) in enumerate((name, known[name]) for name in args.only if name in known):
                note(name, against_bare(model(**entry), Path(root, f"bare-{number}"), args.steps))
                if name in ON_CUDA:
                    folder = Path(root, f"precision-{number}")
                    note(f"{name}, bf16 and compiled", precisions(model(**entry), folder))
        if "frozen" in args.parts:
            entry = model(architecture="vit_gru", encoder="vit_tiny", frames=16, size=64)
            note("frozen vit_gru tiny", frozen(entry, Path(root, "frozen"), 48, 3, args.rounds))
        if "lightning" in args.parts and args.videos:
            paths = sorted(glob.glob(args.videos, recursive=True))
            if not paths:
                parser.error(f"--videos {args.videos}: no such files; quote the pattern")
            entry = model(architecture="naive_cnn", frames=16, size=112)
            note("naive_cnn, lightning", against_lightning(entry, paths, Path(root, "lightning"), args.rounds))


if __name__ == "__main__":
    main()
