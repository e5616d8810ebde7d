"""The command `clipfold`: a thin face of functions that exist elsewhere. Imports what a command needs when it runs."""

import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from clipfold.checks import require
from clipfold.cli_augment import EXAMPLES as AUGMENTATIONS
from clipfold.cli_augment import augment_preview
from clipfold.cli_benchmark import EXAMPLES as BENCHMARKS
from clipfold.cli_benchmark import benchmark
from clipfold.cli_export import EXAMPLE, export_bundle
from clipfold.cli_manifest import EXAMPLES, make_manifest
from clipfold.cli_tune import EXAMPLES as TUNING
from clipfold.cli_tune import tune_model

if TYPE_CHECKING:
    from clipfold.delivery.run import Done

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Classify videos with models that clipfold trained, and look after them.",
)
registry_app = typer.Typer(no_args_is_help=True, help="Keep bundles in a folder, by name and alias.")
app.add_typer(registry_app, name="registry")
app.command("make-manifest", epilog=EXAMPLES)(make_manifest)
app.command("augment-preview", epilog=AUGMENTATIONS)(augment_preview)
app.command("benchmark", epilog=BENCHMARKS)(benchmark)
app.command("export", epilog=EXAMPLE)(export_bundle)
app.command("tune", epilog=TUNING)(tune_model)

BundlePath = Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle: a .clipfold file or its folder.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the registry.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Id, name or alias of a bundle.")]

PREDICTED, NOTHING, SOME, MISUSED = 0, 2, 3, 64
"""Exit codes: all videos were predicted, none, some were not; the command line is wrong (`EX_USAGE` of sysexits)."""

cast(
    Any, typer.BadParameter.__base__
).exit_code = MISUSED  # of all usage errors; it is 2 by default, which means another thing here


def main() -> None:
    """Run the command; what a user can mend is one line."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")  # why a video is not used is in the table
    # Threads of a network wait for each other asleep: awake, they take half of the time that decoding needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        fail("interrupted: run the same command again", 130)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error and exit."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


@app.command(epilog="Example: clipfold predict fights.clipfold new_videos/ clip.mp4 --output answers.csv")
def predict(
    bundle: BundlePath,
    videos: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Videos, folders, tables (labels are optional), or - for a list on stdin."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write: .parquet, .csv or .jsonl.")] = Path(
        "predictions.csv"
    ),
    page: Annotated[bool, typer.Option(help="Write a page beside the table.")] = True,
    window: Annotated[
        str, typer.Option(help="Predict windows of this length, such as 4s: writes timelines and segments.")
    ] = "",
    stride: Annotated[str, typer.Option(help="Time from the start of a window to the next.")] = "1s",
    label: Annotated[
        str | None, typer.Option("--class", help="Class to look for in windows; by default the second of two.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Least probability of a segment; by default that of the bundle.")
    ] = None,
    low: Annotated[float | None, typer.Option(help="Probability down to which a segment lasts.")] = None,
    least: Annotated[str, typer.Option(help="Shortest segment.")] = "0s",
    gap: Annotated[str, typer.Option(help="Segments less than this apart are joined.")] = "0s",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that decode; by default one per core.")] = None,
    profile: Annotated[str, typer.Option(help="quality, balanced (as the folds were evaluated) or fast.")] = "balanced",
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="SETTING=VALUE", help="Change a setting of the profile.")
    ] = None,
) -> None:
    """Predict videos: class, calibrated probabilities, and how far each is from the training data.

    Every video has a row, also one that cannot be used. Interrupted, the same command continues. Exit codes: 0 all
    videos were predicted, 3 some were not, 2 none was; 1 an error, 64 a wrong command line.
    """
    for option, asked in (
        ("stride", stride != "1s"),
        ("class", label is not None),
        ("threshold", threshold is not None),
        ("low", low is not None),
        ("least", least != "0s"),
        ("gap", gap != "0s"),
    ):
        require(bool(window) or not asked, "window", window, f"--{option} needs it: add --window 4s, or leave it out")
    lengths = {"window": window, "stride": stride, "least": least, "gap": gap} if window else {}
    durations = {name: seconds(name, text) for name, text in lengths.items()}
    from clipfold.delivery.format import find_bundle, read_description
    from clipfold.delivery.outputs import check_output
    from clipfold.delivery.profiles import profile_of
    from clipfold.delivery.sources import find_videos

    how = profile_of(profile, changes or ())
    check_output(output)  # all that is wrong is said before the libraries are loaded, which takes seconds
    description = read_description(find_bundle(bundle))
    if description.get("table"):
        require(not window, "window", window, "leave it out: this bundle predicts the rows of tables")
        require(not how.changes, "profile", how.name, "leave it out: this bundle predicts the rows of tables")
        finish(_predict_rows(bundle, videos, output, page))
    found = find_videos(videos, sys.stdin, description.get("modality", "video"))
    require(not window or not found.segments, "window", window, "it cuts whole files: leave out start and end of rows")
    import clipfold

    with clipfold.load(bundle, how) as opened:
        if window:
            from clipfold.delivery.timelines import Cut, timelines_to

            cut = Cut(label=label, threshold=threshold, low=low, **durations)
            done = timelines_to(opened, found.paths, output, cut, page, _progress, workers)
        else:
            from clipfold.delivery.run import predict_sources

            done = predict_sources(opened, found, output, page, workers, _progress)
    finish(done)


def _predict_rows(bundle: str, tables: list[str], output: Path, page: bool) -> "Done":
    import clipfold
    from clipfold.delivery.rows import find_rows
    from clipfold.delivery.run import predict_tables

    with clipfold.load(bundle) as opened:
        found = find_rows(opened, tables)
        return predict_tables(opened, found, [output], output.with_suffix(".html") if page else None)


def finish(done: "Done") -> NoReturn:
    """Say what was predicted, and exit with the code that tells it."""
    print(done.text, file=sys.stderr)
    raise typer.Exit(PREDICTED if done.predicted == done.total else SOME if done.predicted else NOTHING)


def seconds(name: str, text: str) -> float:
    """Read a duration such as `4s`, `500ms`, `2min` or `4`, in seconds.

    >>> seconds("window", "500ms"), seconds("window", "1.5")
    (0.5, 1.5)

    Raises:
        ValueError: It is no duration.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|h)?", text.strip())
    require(found is not None, name, text, "use a duration such as 4s, 500ms or 2min")
    assert found is not None
    return float(found[1]) * {"ms": 0.001, "s": 1.0, None: 1.0, "min": 60.0, "h": 3600.0}[found[2]]


def _progress(total: int, unit: str = "video") -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, disable=None, smoothing=0.1)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("demo"),
    sources: Annotated[int, typer.Option(help="Recordings, with four videos each.")] = 12,
) -> None:
    """Make videos to try the workflow with, and their table."""
    from clipfold.demo.write import make_demo

    print(f"wrote {make_demo(folder, sources=sources)}")


@app.command(epilog="Example: clipfold costs my_results/results --trace run.json")
def costs(
    results: Annotated[Path, typer.Argument(help="Folder of results, such as my_results/results.")] = Path("results"),
    trace: Annotated[
        Path | None, typer.Option(help="Write when each job ran as a Chrome trace, for chrome://tracing or Perfetto.")
    ] = None,
) -> None:
    """Compare requested and used time and memory of the jobs of a run."""
    from clipfold.resources.trace import write_trace
    from clipfold.resources.usage import compared

    print(compared(results))
    if trace is not None:
        print(f"\n{write_trace(results, trace)}")


@app.command()
def clean(
    folder: Annotated[Path, typer.Argument(help="The working directory of the runs.")],
    everything: Annotated[bool, typer.Option("--all", help="Remove Snakemake's records, too.")] = False,
) -> None:
    """Remove a run's results and logs; lists what stays and asks first, never removes videos."""
    from clipfold.storage.clean import clean

    clean(folder, everything)


@app.command(epilog="Example: clipfold cache /shared/clipfold_cache --keep 100GB")
def cache(
    folder: Annotated[Path, typer.Argument(help="The folder that `cache:` of the config names.")],
    keep: Annotated[str, typer.Option(help="Most to keep, such as 100GB: removes what was not used for longest.")] = "",
) -> None:
    """Show what a cache of decoded videos holds, and trim it."""
    from clipfold.storage.cache import measure, parse_size, trim

    if keep:
        print(f"removed {trim(folder, parse_size(keep)) / 1e9:.2f} GB")
    print(measure(folder))


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(help="Where results are to be written.")] = Path(),
) -> None:
    """Look at this machine: versions, decoders, GPU, memory, disk, SLURM; say what is missing and how to get it."""
    from clipfold.resources.doctor import examine

    for finding in examine(folder):
        print(f"{finding.name:32} {finding.found}{f'  <- {finding.remedy}' if finding.remedy else ''}")


@app.command(epilog="Example: clipfold drift fights.clipfold answers.parquet")
def drift(
    bundle: BundlePath,
    predictions: Annotated[Path, typer.Argument(help="Table that `clipfold predict` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write.")] = Path("drift.html"),
) -> None:
    """Compare new videos and their scores with the training data, and say whether to worry."""
    import clipfold
    from clipfold.delivery.run import compare_drift

    with clipfold.load(bundle) as opened:
        print(compare_drift(opened, predictions, output))


@registry_app.command("add")
def registry_add(folder: Folder, bundle: BundlePath) -> None:
    """Copy a bundle into the registry."""
    from clipfold.delivery.registry import Registry

    entry = Registry(folder).add(bundle)
    print(f"{entry.id} {entry.name}")


@registry_app.command("list")
def registry_list(
    folder: Folder, sort: Annotated[str | None, typer.Option(help="Metric to sort by, best first.")] = None
) -> None:
    """List the bundles."""
    from clipfold.delivery.registry import Registry

    rows = [("ID", "ADDED", "NAME", sort or "", "ALIASES")]
    for entry in Registry(folder).list(sort):
        value = entry.metrics.get(sort, [None])[0] if sort else None
        shown = "" if value is None else f"{value:.4f}"
        rows.append((entry.id, entry.added[:10], entry.name, shown, ", ".join(entry.aliases)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True) if width).rstrip())


@registry_app.command("path")
def registry_path(folder: Folder, key: Key) -> None:
    """Print the file of a bundle, for `clipfold predict "$(clipfold registry path FOLDER production)" ...`."""
    from clipfold.delivery.registry import Registry

    print(Registry(folder).path(key))


@registry_app.command("show")
def registry_show(folder: Folder, key: Key) -> None:
    """Show the model card of a bundle."""
    from clipfold.delivery.format import CARD, open_bundle
    from clipfold.delivery.registry import Registry

    with open_bundle(Registry(folder).path(key)) as opened:
        card = (opened / CARD).read_text(encoding="utf-8", errors="replace")
    # It may come from a stranger, and control characters would command the terminal.
    print("".join(c for c in card if c.isprintable() or c == "\n"))


@registry_app.command("promote")
def registry_promote(
    folder: Folder, key: Key, alias: Annotated[str, typer.Option(help="Alias to give.")] = "production"
) -> None:
    """Give a bundle an alias, if its golden test passes on this machine."""
    import clipfold
    from clipfold.delivery.registry import Registry

    def problems(path: Path) -> list[str]:
        with clipfold.load(path) as opened:
            return opened.golden_problems()

    entry = Registry(folder).promote(key, alias, check=problems)
    print(f"{entry.id} {entry.name} is now {alias}")


@registry_app.command("unalias")
def registry_unalias(folder: Folder, alias: Annotated[str, typer.Argument(help="The alias.")]) -> None:
    """Take an alias away from the bundle that has it."""
    from clipfold.delivery.registry import Registry

    entry = Registry(folder).unalias(alias)
    print(f"{entry.id} {entry.name} is no longer {alias}")


@registry_app.command("rebuild")
def registry_rebuild(folder: Folder) -> None:
    """Make the list of bundles again from their files, where it is damaged or files were copied by hand."""
    from clipfold.delivery.registry import Registry

    registry = Registry(folder)
    require(folder.is_dir(), "registry", str(folder), "there is no such folder")
    for problem in registry.rebuild():
        print(f"warning: {problem}", file=sys.stderr)
    print(f"{len(registry.list())} bundles")


@registry_app.command("remove")
def registry_remove(folder: Folder, key: Key) -> None:
    """Remove a bundle without aliases."""
    from clipfold.delivery.registry import Registry

    print(f"removed {Registry(folder).remove(key).id}")


if __name__ == "__main__":
    main()
