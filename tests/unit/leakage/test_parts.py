"""Test that disguised near duplicates are found, and that shared titles and banners are none, on procedural films."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from clipfold.demo.disguises import DISGUISES, with_logo, with_title
from clipfold.demo.encode import Take, decode, encode
from clipfold.demo.near_duplicates import Recording
from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage.hash_shard import hash_shard
from clipfold.leakage.hashes import FRAMES
from clipfold.leakage.keypoint_index import Index
from clipfold.leakage.matches import match
from clipfold.leakage.parts import Parts
from clipfold.leakage.placement import compare
from clipfold.leakage.search import Search
from clipfold.leakage.videos import Stored, Videos
from clipfold.storage.files import ArrayWriter, read_table, write_table
from clipfold.video.decode_shard import index_schema
from clipfold.video.geometry import letterbox
from clipfold.video.sampling import uniform
from clipfold.video.views import Uniform

SOURCES = 6
SIZE = 112


@pytest.fixture(scope="module")
def films():
    """Films of different scenes, half of them by a still camera."""
    made = []
    for source in range(SOURCES):
        rng = np.random.default_rng(source)
        scene = draw_scene(rng)
        scene = replace(scene, pan=0, zoom=0, shake=0) if source % 2 else scene
        made.append(Recording(film(scene, rng, frames=32, size=(180, 240), fps=16), 16.0))
    return made


@pytest.fixture(scope="module")
def originals(films, tmp_path_factory):
    return stored(films, "original", tmp_path_factory.mktemp("originals"))


def stored(films, name, folder):
    """Encode films; decode and hash them as a shard."""
    rows = []
    with ArrayWriter(folder / "clips", (FRAMES, SIZE, SIZE, 3), np.uint8) as clips:
        for number, each in enumerate(films):
            take = Take("h264", ".mp4", Fraction(each.fps).limit_denominator(1000), len(each.frames))
            frames = decode(encode(each.frames, take, bits_per_pixel=each.bits_per_pixel))
            box = letterbox(frames.shape[2], frames.shape[1], SIZE)
            clip = np.zeros((FRAMES, SIZE, SIZE, 3), np.uint8)
            inside = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
            for place, frame in zip(clip, frames[uniform(len(frames), FRAMES)], strict=True):
                place[inside] = cv2.resize(frame, (box.width, box.height), interpolation=cv2.INTER_AREA)
            clips.append(clip)
            rows.append(
                {"id": f"{name}-{number}", "row": number, "clips_box": [box.top, box.left, box.height, box.width]}
            )
    write_table(folder / "indices", rows, index_schema({"clips": Uniform(frames=1, size=16)}))
    hash_shard(folder / "clips", folder / "indices", *(folder / n for n in ("hashes", "pictures", "keypoints")))
    return folder


def pairs(shards, folder, threads=1):
    names = ("hashes", "pictures", "keypoints", "clips", "indices")
    match(Stored(**{name: [shard / name for shard in shards] for name in names}), folder / "matches", threads)
    return {tuple(sorted((row["first"], row["second"]))): row for row in read_table(folder / "matches").to_pylist()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISGUISES)
def test_disguised_copies_are_found(kind, films, originals, tmp_path):
    rng = np.random.default_rng(0)
    copies = [DISGUISES[kind](each, rng, films[(i + 1) % SOURCES]) for i, each in enumerate(films)]
    found = pairs([originals, stored(copies, "copy", tmp_path)], tmp_path)
    assert (
        sum((f"copy-{i}", f"original-{i}") in found for i in range(SOURCES)) >= SOURCES - 2
    )  # made films have little detail
    composed = kind in ("picture in picture", "side by side", "after another film")
    related = {0, 1, SOURCES - 1} if composed else {0}
    # Copies may share more: the same caption, border or other film.
    apart = [(int(a[-1]) - int(b[-1])) % SOURCES for a, b in found if a[0] != b[0] or a[0] == "o"]
    assert set(apart) <= related, sorted(found)


def test_what_was_done_to_a_copy_is_named(films, originals, tmp_path):
    rng = np.random.default_rng(1)
    kinds = ("upside down", "negative", "turned by 90 degrees", "cropped to 50 %")
    copies = [DISGUISES[kind](films[1], rng, films[0]) for kind in kinds]
    found = pairs([originals, stored(copies, "copy", tmp_path)], tmp_path)
    changes = [found[f"copy-{i}", "original-1"]["change"] for i in range(len(kinds))]
    assert changes == ["turned background", "negative background", "turned background", "cropped background"]


@pytest.mark.parametrize("shared", [with_title, with_logo])
def test_unrelated_films_with_a_title_or_banner_in_common_are_no_pairs(shared, films, tmp_path):
    several = films[:5]  # the sixth is all stripes, as is the second
    assert pairs([stored([shared(each, "Tonight at eight") for each in several], "film", tmp_path)], tmp_path) == {}


def test_threads_and_shards_change_nothing(films, originals, tmp_path):
    copies = [DISGUISES["turned by 10 degrees"](each, np.random.default_rng(2), each) for each in films]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    apart = [stored(part, name, tmp_path / name) for part, name in ((copies[:3], "one"), (copies[3:], "two"))]
    assert pairs([originals, *apart], tmp_path) == pairs([originals, *apart], tmp_path, threads=2)


def test_pairs_that_backgrounds_show_are_not_sought_by_keypoints_again(films, originals, tmp_path):
    stored_twice = stored(films, "copy", tmp_path)
    names = ("hashes", "pictures", "keypoints", "clips", "indices")
    videos = Videos(Stored(**{name: [each / name for each in (originals, stored_twice)] for name in names}))
    keypoints = videos.keypoints()
    parts = Parts(keypoints, videos.counts, Index.build(keypoints, videos.counts), videos.grey)
    search = Search(videos.whole(), videos.windows, videos.frames(), videos.pictures, parts)
    every = range(len(videos))
    backgrounds = search.backgrounds(every)
    copies = {(i, i + SOURCES) for i in range(SOURCES)}

    def sought(found):
        return set(zip(*(search.parts(every, found)[side].to_pylist() for side in "xy"), strict=True))

    assert copies <= set(zip(backgrounds["x"].to_pylist(), backgrounds["y"].to_pylist(), strict=True))
    assert copies <= sought(backgrounds[:0])
    assert not copies & sought(backgrounds)


def test_a_placement_that_turns_into_a_mirror_image_is_no_match():
    random = np.random.default_rng(3981)
    noise = cv2.GaussianBlur(random.integers(0, 255, (60, 60)).astype(np.uint8), (0, 0), 3)
    x = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
    angle, scale = random.uniform(0, 2 * np.pi), random.uniform(0.12, 1)
    across, down = scale * np.cos(angle), scale * np.sin(angle)
    found = compare(x, x[:, ::-1].copy(), np.array([[across, -down, 30], [down, across, 30]]), 5)
    assert found is None or np.linalg.det(found.matrix[:, :2]) > 0
