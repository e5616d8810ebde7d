"""The command `clipfold tune`: a thin face of `clipfold.training.tune`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from clipfold.checks import require

EXAMPLES = (
    "Examples: clipfold tune x3d --set variant=s --set size=160; clipfold tune my_results/results/models/x3d/fold-0"
)


def tune_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An architecture, or the folder of a fit.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of it, as in the config.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Most time to take.")] = 5.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the entry of `models:` to this file.")
    ] = None,
) -> None:
    """Measure which batch size, layout, precision, threads and compilation train a network fastest here.

    Each change is measured in turn with the best settings before it, by steps on random clips, and kept if it gains
    5 %. The clips of an optimizer step stay as many. The table says what a change means for the trained numbers: choose
    before you compare models. Close other programs first.
    """
    from clipfold.delivery.prepare import cores
    from clipfold.models.entries import plan_models
    from clipfold.storage.replace import replacing
    from clipfold.training import tune

    entry = _entry(model) | dict(map(_setting, settings or ()))
    (planned,) = plan_models([entry], largest_size=sys.maxsize, most_frames=sys.maxsize)
    tried = tune.tune(planned, cores(), minutes, lambda line: print(line, file=sys.stderr))
    print("\n".join(tune.table(tried)))
    text = tune.as_config(entry, tried)
    print(f"\n{text}", end="")
    if output is not None:
        with replacing(output) as file:
            file.write(text.encode())


def _entry(model: str) -> dict[str, Any]:
    """Return the entry of an architecture, or that of a fit: what differs from the architecture's defaults."""
    from clipfold.models.catalog import ARCHITECTURES
    from clipfold.storage.files import read_json

    if not Path(model).is_dir():
        return {"architecture": model}
    record = read_json(Path(model, "fit.json"))
    known = {each.module: each for each in ARCHITECTURES.values()}.get(record["architecture"])
    require(known is not None, "model", model, "its fit.json names no architecture of this clipfold: name one")
    assert known is not None
    own = {key: value for key, value in record["settings"].items() if known.settings.get(key, value) != value}
    return {"architecture": known.name} | own


def _setting(text: str) -> tuple[str, Any]:
    key, found, value = text.partition("=")
    require(bool(found), "--set", text, "use KEY=VALUE, such as size=160")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
