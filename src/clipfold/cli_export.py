"""The command `clipfold export`: a thin face of `clipfold.delivery.export`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: clipfold export fights.clipfold --to onnx-int8 --videos videos.csv --output fights-int8.clipfold"


def export_bundle(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle: a .clipfold file or its folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle to write: a .clipfold file or a new folder.")],
    to: Annotated[
        str, typer.Option(help="onnx, onnx-int8 with 8-bit weights, or torch-export: .pt2 files for other tools.")
    ] = "onnx",
    videos: Annotated[
        list[str] | None,
        typer.Option(help="Video, folder or table, of training videos or alike: calibrates onnx-int8, and compares."),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads to measure with, besides one; 0: all cores.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write what was measured to this file, too.")] = None,
) -> None:
    """Turn the networks of a bundle into ONNX graphs; the new bundle predicts by the same commands.

    With torch-export the bundle stays as it is, and also has each network as a program of PyTorch, for other tools.

    It is written only if the bundle's golden test passes with it and, on the videos, at most 2 % of the decisions
    change. The table compares both: time for a clip, size, largest difference of a probability. ONNX needs
    `pip install 'clipfold[export]'`.
    """
    from clipfold.delivery.compared import table
    from clipfold.delivery.export import export
    from clipfold.delivery.format import find_bundle, read_description
    from clipfold.delivery.sources import find_videos
    from clipfold.storage.files import write_json

    found, sources = find_bundle(bundle), None
    if videos:
        sources = find_videos(videos, sys.stdin, read_description(found).get("modality", "video"))
    rows, agreed = export(found, to, output, sources, threads)
    print("\n".join(table(rows, agreed)))
    if json:
        write_json(json, {"networks": [asdict(row) for row in rows], "videos": agreed and asdict(agreed)})
    print(f"wrote {output}", file=sys.stderr)
