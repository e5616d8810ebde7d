"""Measure which copies the search by keypoints finds among many films, by the number of its words.

    python benchmarks/keypoint_words.py --manifest fights/videos.csv --films 4000 --json words.json

Copies of 20 clips of a manifest and of 20 drawn films, in all ways of `leakage.py`, are searched among other drawn
films, with codebooks of several sizes. An index of more videos has larger ones, up to `words.LARGEST`, so that its
words stay as full: what larger ones lose here, they lose there.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from chance_pairs import KINDS, decoded, drawn_film
from leakage import read
from leakage_scale import draw
from threadpoolctl import threadpool_limits

from clipfold.demo.near_duplicates import Recording
from clipfold.leakage import words
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.hashes import FRAMES
from clipfold.leakage.keypoint_index import Index
from clipfold.leakage.parts import Parts
from clipfold.leakage.videos import Stored, Videos
from clipfold.manifest.read import read_manifest
from clipfold.storage.files import ArrayWriter, write_table
from clipfold.video.decode_shard import index_schema
from clipfold.video.views import Uniform

SIZE = 112
COPIED = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="CSV with path, label, group")
    parser.add_argument("--films", type=int, default=4000, help="other films (default: %(default)s)")
    parser.add_argument(
        "--entries", type=int, nargs="+", default=[512, 1024, 2048], help="of a codebook (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    videos = read_manifest(arguments.manifest)
    clips = [read(videos[i * len(videos) // (COPIED // 2)]) for i in range(COPIED // 2)]
    originals = clips + [drawn_film(50_000 + number) for number in range(COPIED // 2)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "films", arguments.films)
        write(folder / "originals", originals)
        write(folder / "copies", copies(originals))
        shards = [folder / "originals", *sorted((folder / "films").iterdir()), folder / "copies"]
        found = [searched(shards, entries) for entries in arguments.entries]
    figures = {"copies": COPIED * len(KINDS), "films": arguments.films, "found": found}
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def copies(originals: list[Recording]) -> Iterator[Recording]:
    """Make a copy of each kind of each recording."""
    for number, original in enumerate(originals):
        other, rng = originals[(number + 7) % len(originals)], np.random.default_rng(number)
        for change in KINDS.values():
            yield change(original, rng, other)


def write(folder: Path, films: Iterable[Recording]) -> None:
    """Encode, decode and hash films, as a shard."""
    folder.mkdir()
    rows: list[dict[str, Any]] = []
    with ArrayWriter(folder / "clips", (FRAMES, SIZE, SIZE, 3), np.uint8) as array:
        for row, film in enumerate(films):
            shown = decoded(film)
            height, width = shown.shape[1:3]
            top, left = (SIZE - height) // 2, (SIZE - width) // 2
            clip = np.zeros((FRAMES, SIZE, SIZE, 3), np.uint8)
            clip[:, top : top + height, left : left + width] = shown
            array.append(clip)
            box = [top, left, height, width]
            rows.append({"id": f"{folder.name}-{row:06}", "row": row, "clips_box": box})
    write_table(folder / "index", rows, index_schema({"clips": Uniform(frames=1, size=16)}))
    hash_shard(folder / "clips", folder / "index", *(folder / each for each in ("hashes", "pictures", "keypoints")))


def searched(shards: list[Path], entries: int) -> dict[str, Any]:
    """Search the originals, the first shard, for their copies, the last one; return those found, of each kind."""
    files = {name: [shard / name for shard in shards] for name in ("hashes", "pictures", "keypoints", "clips")}
    videos = Videos(Stored(**files, indices=[shard / "index" for shard in shards]))
    keypoints, usual = videos.keypoints(), (words.LARGEST, words.PER_WORD)
    words.LARGEST, words.PER_WORD = entries, sum(map(len, keypoints)) / entries**2
    try:
        parts = Parts(keypoints, videos.counts, Index.build(keypoints, videos.counts), videos.grey)
    finally:
        words.LARGEST, words.PER_WORD = usual
    first, kinds, found = len(videos) - COPIED * len(KINDS), list(KINDS), Counter[str]()
    with threadpool_limits(1):
        for original in range(COPIED):
            for pair in parts.pairs(original):
                number, kind = divmod(pair["y"] - first, len(kinds))
                found[kinds[kind]] += number == original
    return {"entries": entries, "all": found.total(), "kinds": found}


if __name__ == "__main__":
    main()
