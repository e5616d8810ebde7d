"""The command `clipfold benchmark`: a thin face of `clipfold.delivery.stage_speed`."""

import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from clipfold.checks import require

EXAMPLES = (
    "Examples: clipfold benchmark; clipfold benchmark clip.mp4 --bundle fights.clipfold; "
    "clipfold benchmark --json speed.json"
)
SECONDS = 60.0
"""Most seconds for the films that the command makes."""


def benchmark(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[VIDEO]...", help="Videos to measure with; by default films of four sizes are made."),
    ] = None,
    bundle: Annotated[str, typer.Option(help="Bundle whose networks to measure; by default naive_cnn.")] = "",
    json: Annotated[Path | None, typer.Option(help="Write what was measured to this file, too.")] = None,
) -> None:
    """Measure how fast this machine predicts, by stage, and say what bounds it.

    Figures are frames of a video per second of one core: ffmpeg alone, clipfold's decoding, views, and model. The
    model predicts a clip for each video, so its figure grows with the length of the video. Close other programs first.
    """
    import torch

    import clipfold
    from clipfold.delivery import stage_speed
    from clipfold.delivery.prepare import cores
    from clipfold.storage.files import write_json

    ffmpeg = stage_speed.find_ffmpeg()
    for path in videos or ():
        require(path.is_file(), "video", str(path), "name files that exist")
    speeds: list[stage_speed.Speed] = []
    skipped: dict[str, str] = {}
    with ExitStack() as kept:
        kept.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)  # so that all stages are figures of one core
        if bundle:
            opened = kept.enter_context(clipfold.load(bundle))
            good = opened.modality == "video" and not opened.table and opened.reads == {"clips"}
            require(good, "bundle", bundle, "use one whose models read clips of videos alone, or leave it out")
            views = opened.views
            predict = stage_speed.fits_of(opened)
        else:
            views, predict = stage_speed.standard_views(), stage_speed.naive_cnn()
        for path in videos or ():
            print(f"measuring {path}", file=sys.stderr)
            speeds.append(stage_speed.measure(ffmpeg, path, path.name, views, predict))
        start, last = time.monotonic(), 0.0
        folder = Path(kept.enter_context(TemporaryDirectory(prefix="clipfold-")))
        for name in () if videos else stage_speed.SIZES:
            began = time.monotonic()
            if reason := stage_speed.too_large(name, began - start, last, SECONDS):
                skipped[name] = reason
                continue
            print(f"measuring {name}", file=sys.stderr)
            film = stage_speed.make_film(ffmpeg, folder, name)
            speeds.append(stage_speed.measure(ffmpeg, film, name, views, predict))
            film.unlink()
            last = time.monotonic() - began
    require(bool(speeds), "memory", skipped.get("480p"), "close other programs, or name a smaller video")
    print("\n".join(stage_speed.table(speeds)))
    for name, reason in skipped.items():
        print(f"{name} skipped: {reason}")
    said = stage_speed.advice(speeds, cores())
    print(said)
    if json:
        found = [asdict(speed) | {"together": speed.together, "bound": speed.bound} for speed in speeds]
        write_json(json, {"model": bundle or "naive_cnn", "videos": found, "skipped": skipped, "advice": said})
