"""Make the demo's files from the command line: `python -m clipfold.demo FOLDER [--images] [--seed 0]`."""

import argparse
from pathlib import Path

from clipfold.demo.pictures import make_pictures
from clipfold.demo.write import make_demo


def main() -> None:
    """Make the videos or images and print the path of their table."""
    parser = argparse.ArgumentParser(
        prog="python -m clipfold.demo",
        description="Make 48 short labelled videos in FOLDER/videos and their table, FOLDER/videos.csv (columns path, "
        "label, group): real and tampered ones from twelve sources, two of them broken. Takes seconds; the same seed "
        "gives the same bytes.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="output folder, created if missing")
    parser.add_argument("--seed", type=int, default=0, help="any whole number (default: %(default)s)")
    parser.add_argument("--images", action="store_true", help="make 96 images and pictures.csv instead")
    arguments = parser.parse_args()
    make = make_pictures if arguments.images else make_demo
    print(f"wrote {make(arguments.folder, seed=arguments.seed)}")


if __name__ == "__main__":
    main()
