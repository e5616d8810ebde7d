"""The command `clipfold make-manifest`: a thin face of `clipfold.manifest.make`."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

  clipfold make-manifest folders videos/ -o videos.csv

  clipfold make-manifest ucf101 ucfTrainTestlist/ --videos UCF-101/ --split 1

  clipfold make-manifest hmdb51 splits/ --videos hmdb51_org/ --split 1

  clipfold make-manifest kinetics train.csv --videos train/ -o kinetics.csv

  clipfold make-manifest mmaction data/ucf101/ --classes classInd.txt

  clipfold make-manifest slowfast lists/ --videos videos/ --classes ids.json

  clipfold make-manifest faceforensics FaceForensics++/ --compression c23

  clipfold make-manifest webdataset shards/ -o shards/videos.csv

  clipfold make-manifest huggingface folder/ --label action --group person
"""


def make_manifest(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="folders (one per class), ucf101, hmdb51, kinetics, mmaction, slowfast, faceforensics, webdataset "
            "or huggingface (videofolder, imagefolder).",
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of the data set or of its lists.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write, .csv or .tsv.")] = Path("videos.csv"),
    force: Annotated[bool, typer.Option("--force", help="Replace the table if it exists.")] = False,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the videos, where SOURCE has only the lists.", metavar="FOLDER")
    ] = None,
    split: Annotated[
        int | None, typer.Option(min=1, help="Number of the official split, 1 by default: ucf101, hmdb51, mmaction.")
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(
            help="Names of the classes by number: mmaction, slowfast, webdataset, huggingface.", metavar="FILE"
        ),
    ] = None,
    modality: Annotated[str, typer.Option(help="image: a row per image of each folder: folders.")] = "video",
    compression: Annotated[str, typer.Option(help="raw, c23 or c40; all by default: faceforensics.")] = "",
    label: Annotated[str, typer.Option(help="Column or field with the label: webdataset, huggingface.")] = "",
    group: Annotated[str, typer.Option(help="Column or field with the group: webdataset, huggingface.")] = "",
) -> None:
    """Make the table of videos from folders, official lists or another tool's lists.

    Says what was found, what has no place in the table, what was taken for groups and why, and the next command.
    """
    from clipfold.manifest.make.found import Options
    from clipfold.manifest.make.kinds import find_rows
    from clipfold.manifest.make.write import described, next_command, write_manifest

    options = Options(
        videos=videos,
        split=split,
        classes=classes,
        modality=modality,
        compression=compression,
        label=label,
        group=group,
    )
    found = find_rows(kind, source, options)
    write_manifest(found, output, force=force)
    print(f"{described(found)}\nwrote {output}\nnext, in clipfold's folder: {next_command(found, output)}")
