"""Measure what `region: motion` or `face` adds to the CPU time of decoding, with all default views.

    python benchmarks/regions.py videos.csv --json regions.json
    python benchmarks/regions.py videos.csv --face-model yunet.onnx --json faces.json

Each video is decoded with and without, in turn, and the least of the rounds counts: other work on the machine shifts
both alike.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from clipfold.manifest.read import read_manifest
from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.video.decode import decode_video
from clipfold.video.probe import probe_video
from clipfold.video.stream import Stream
from clipfold.video.views import build_views

DEFAULTS = {name: dict(options) for name, options in DecodeSettings().views.items()}


def main() -> None:
    """Decode the videos of a manifest and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--face-model", default="", help="file of YuNet: measure region: face instead")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    args = parser.parse_args()
    clips = DEFAULTS["clips"] | {"region": "face" if args.face_model else "motion"}
    variants = {  # a run also keeps whole frames, to search for near duplicates; a bundle does not
        "without": DEFAULTS,
        "prediction": DEFAULTS | {"clips": clips},
        "training": DEFAULTS | {"clips": clips, "whole": DEFAULTS["clips"]},
    }
    views = {name: build_views(own, DecodeSettings().size, args.face_model) for name, own in variants.items()}
    spent, lacking, count = dict.fromkeys(views, 0.0), 0, 0
    for video in read_manifest(args.manifest, {}):
        facts = probe_video(str(video.path), ProbeSettings())
        if facts["status"] != "ok":
            continue
        stream, rounds = Stream.of(facts | {"id": video.id, "path": str(video.path)}), []
        for _ in range(args.rounds):
            marks = [time.process_time()]
            for own in views.values():
                decoded = decode_video(stream, own)
                marks.append(time.process_time())
            rounds.append(np.diff(marks))
        for name, seconds in zip(views, np.min(rounds, axis=0), strict=True):
            spent[name] += float(seconds)
        count, lacking = count + 1, lacking + (decoded.facts["clips_region"] is None)
    found = {name: round(seconds / spent["without"], 3) for name, seconds in spent.items()}
    found |= {"videos": count, "no region": lacking, "cpu ms without": round(1000 * spent["without"] / count, 1)}
    for name, value in found.items():
        print(f"{name:16} {value}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
