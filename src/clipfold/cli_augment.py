"""The command `clipfold augment-preview`: a thin face of `clipfold.delivery.augment_preview`."""

from pathlib import Path
from typing import Annotated

import typer

from clipfold.checks import require

EXAMPLES = (
    "Examples: clipfold augment-preview clip.mp4 --preset forensic; "
    "clipfold augment-preview clip.mp4 --preset video --without h264 -o page.html"
)


def augment_preview(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Videos, folders of frames, or images.")],
    preset: Annotated[str, typer.Option(help="light, video, forensic or none, as augment.preset.")] = "light",
    without: Annotated[
        list[str] | None, typer.Option(metavar="OPERATION", help="An operation to leave out, as augment.without.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write.")] = Path("augment.html"),
) -> None:
    """Draw what the operations of augmentation do to your videos, on a page: before, after, and in augmented copies."""
    from clipfold.clips.presets import resolve

    remedy = "use a name that ends in .html"  # not that of a video
    require(output.suffix == ".html" and not output.is_dir(), "output", str(output), remedy)
    operations = resolve(preset, without or [], {})
    for path in videos:
        require(path.exists(), "video", str(path), "name files that exist")
    from clipfold.delivery.augment_preview import write_preview

    write_preview(videos, operations, preset, seed, output)
    print(output)
