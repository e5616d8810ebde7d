"""The command `clipfold export`: a thin face of `clipfold.delivery.export`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: clipfold export fights.clipfold --to onnx --output fights-onnx.clipfold"


def export_bundle(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle: a .clipfold file or its folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle to write: a .clipfold file or a new folder.")],
    to: Annotated[str, typer.Option(help="Format of the networks: onnx.")] = "onnx",
    threads: Annotated[int, typer.Option(min=0, help="Threads to measure with, besides one; 0: all cores.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write what was measured to this file, too.")] = None,
) -> None:
    """Turn the networks of a bundle into ONNX graphs; the new bundle predicts by the same commands.

    It is written only if the bundle's golden test passes with it. The table compares both: time for a clip, size,
    largest difference of a probability. Needs `pip install 'clipfold[export]'`.
    """
    from clipfold.delivery.export import export, table
    from clipfold.delivery.format import find_bundle
    from clipfold.storage.files import write_json

    rows = export(find_bundle(bundle), to, output, threads)
    print("\n".join(table(rows)))
    if json:
        write_json(json, [asdict(row) for row in rows])
    print(f"wrote {output}", file=sys.stderr)
