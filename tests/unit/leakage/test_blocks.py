"""A search in blocks, each a job, finds what a search in one job does, byte for byte."""

import cv2
import numpy as np
import pytest

from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage import candidates, keypoint_index, pairs, search
from clipfold.leakage.blocks import index_keypoints, join_matches, join_recordings, search_frames, search_pictures
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.matches import match
from clipfold.leakage.videos import Stored
from clipfold.storage.files import ArrayWriter, read_table, write_table
from clipfold.video.decode_shard import index_schema
from clipfold.video.views import Uniform

SHAPE = (16, 64, 64, 3)
SHARDS, SOURCES = 3, 12


def changed(clip, number):
    """A near duplicate, of another kind for each number."""
    if number % 4 == 0:
        return clip[:, :, ::-1]
    if number % 4 == 1:
        return np.stack([cv2.resize(frame[8:60, 8:60], SHAPE[1:3], interpolation=cv2.INTER_AREA) for frame in clip])
    if number % 4 == 2:
        return np.concatenate([clip[8:], clip[:1].repeat(8, axis=0)])  # a cut
    return np.rot90(clip, axes=(1, 2)).copy()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Files of three shards: some films with near duplicates in other shards, and clips of one still camera."""
    films = []
    for seed in range(SOURCES):
        rng = np.random.default_rng(seed)
        films.append(film(draw_scene(rng), rng, frames=SHAPE[0], size=SHAPE[1:3], fps=12))
    films += [changed(films[number], number) for number in range(8)]
    rng = np.random.default_rng(0)
    still = films[0][:1].repeat(SHAPE[0], axis=0).astype(int)
    films += [np.clip(still + rng.normal(0, 6, SHAPE), 0, 255).astype(np.uint8) for _ in range(10)]
    order = rng.permutation(len(films))
    folders = []
    for shard in range(SHARDS):
        folder = tmp_path_factory.mktemp("shard")
        mine = order[shard::SHARDS]
        with ArrayWriter(folder / "clips", SHAPE, np.uint8) as array:
            for number in mine:
                array.append(np.ascontiguousarray(films[number]))
        rows = [{"id": f"{n:03}", "row": row, "clips_box": [0, 0, 64, 64]} for row, n in enumerate(mine)]
        write_table(folder / "indices", rows, index_schema({"clips": Uniform(frames=1, size=16)}))
        hash_shard(folder / "clips", folder / "indices", *(folder / n for n in ("hashes", "pictures", "keypoints")))
        folders.append(folder)
    return Stored(
        **{name: [f / name for f in folders] for name in ("hashes", "pictures", "keypoints", "clips", "indices")}
    )


def in_jobs(stored, blocks, folder):
    """Search as the jobs of a cluster do; return the file of the pairs."""
    index = {name: folder / name for name in ("videos", *keypoint_index.FILES)}
    index_keypoints(stored, index)
    files = {
        kind: [folder / f"{kind}-{block}" for block in range(blocks)] for kind in ("backgrounds", "parts", "frames")
    }
    for block in reversed(range(blocks)):
        search_pictures(index, block, blocks, files["backgrounds"][block], files["parts"][block])
    join_recordings(index, files["backgrounds"], files["parts"], folder / "known", folder / "common")
    for block in range(blocks):
        search_frames(index, folder / "known", folder / "common", block, blocks, files["frames"][block])
    join_matches(index, folder / "known", files["frames"], folder / "matches")
    return folder / "matches"


@pytest.mark.parametrize("most", [50, 3])
def test_blocks_change_no_byte(most, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "MOST", most)
    for module in (search, candidates):
        monkeypatch.setattr(module, "VIDEOS", 4)
    match(stored, tmp_path / "one", threads=2)
    found = read_table(tmp_path / "one").to_pylist()
    assert {row["change"].split()[-1] for row in found} == {"copy", "background", "cut"}
    for blocks in (1, 3):
        (tmp_path / f"{blocks}").mkdir()
        joined = in_jobs(stored, blocks, tmp_path / f"{blocks}")
        assert joined.read_bytes() == (tmp_path / "one").read_bytes(), f"{blocks} blocks"
