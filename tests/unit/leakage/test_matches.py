"""Test the search for near duplicates, the audit, its page and the gate, on procedural films."""

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from clipfold.demo.encode import Take, decode, encode
from clipfold.demo.near_duplicates import CHANGES, Recording
from clipfold.demo.scenes import draw_scene, film
from clipfold.leakage.alignment import LEAST_SHARE, Tiles, same_share
from clipfold.leakage.audit import audit_folds
from clipfold.leakage.check import check_leakage
from clipfold.leakage.hashes import FRAMES, MIRROR, hash_pictures, hash_video
from clipfold.leakage.matches import SCHEMA, find_pairs
from clipfold.leakage.page import write_page
from clipfold.splits.split import SCHEMA as ASSIGNED
from clipfold.storage.files import ArrayWriter, read_table, write_json, write_table
from clipfold.video.decode_shard import index_schema
from clipfold.video.geometry import letterbox
from clipfold.video.sampling import uniform
from clipfold.video.views import Uniform

SOURCES = 12


def decoded(recording):
    """Encode a film and return what decoding keeps: evenly spaced frames in a square of 112 pixels."""
    take = Take("h264", ".mp4", Fraction(recording.fps).limit_denominator(1000), len(recording.frames))
    frames = decode(encode(recording.frames, take, bits_per_pixel=recording.bits_per_pixel))
    box = letterbox(frames.shape[2], frames.shape[1], 112)
    kept = frames[uniform(len(frames), FRAMES)]
    return np.stack([cv2.resize(f, (box.width, box.height), interpolation=cv2.INTER_AREA) for f in kept])


@pytest.fixture(scope="module")
def recordings():
    """Source and change of films, half of them by a still camera, and of their near duplicates; the pairs found."""
    films = []
    for source in range(SOURCES):
        rng = np.random.default_rng(source)
        scene = draw_scene(rng)
        if source % 2:
            scene = replace(scene, pan=0, zoom=0, shake=0)
        original = Recording(film(scene, rng, frames=50, size=(160, 120), fps=25), 25.0)
        films.append((source, "original", original))
        films += [(source, name, change(original, rng)) for name, change in CHANGES.items()]
        if source % 2:
            films += [
                (source, name, replace(original, frames=original.frames[part]))
                for name, part in (("begin", slice(23)), ("end", slice(27, 50)))
            ]
    hashed = [hash_video(decoded(copy)) for _, _, copy in films]
    pairs = find_pairs(np.stack([hashes for hashes, _ in hashed]), lambda row: hashed[row][1])
    return [(source, name) for source, name, _ in films], pairs


@pytest.mark.slow
def test_near_duplicates_and_cuts_are_found_whatever_the_change(recordings):
    films, pairs = recordings
    found = {(films[p["x"]], films[p["y"]]): p["change"] for p in pairs}
    found |= {(b, a): change for (a, b), change in found.items()}
    by_change = defaultdict(list)
    for source in range(SOURCES):
        for name in CHANGES:
            by_change[name].append(found.get(((source, "original"), (source, name))))
    for name, called in by_change.items():
        assert sum(c is not None for c in called) >= SOURCES - 1, name
    assert np.mean([c is not None for called in by_change.values() for c in called]) >= 0.95
    assert {c.split()[0] for c in by_change["mirrored"] if c} == {"mirrored"}
    assert by_change["mirrored"].count("mirrored copy") >= SOURCES - 2
    assert by_change["cropped"].count("cropped copy") >= SOURCES - 2
    # The two ends of a film by a still camera share no frame, only the background.
    ends = [found.get(((source, "begin"), (source, "end"))) for source in range(1, SOURCES, 2)]
    assert sum(end is not None for end in ends) >= len(ends) - 1


@pytest.mark.slow
def test_hardly_any_unrelated_films_are_taken_for_the_same(recordings):
    films, pairs = recordings
    unrelated = sum(a[0] != b[0] for i, a in enumerate(films) for b in films[:i])
    false = [pair for pair in pairs if films[pair["x"]][0] != films[pair["y"]][0]]
    assert len(false) <= 0.01 * unrelated


def test_black_bars_neither_hide_a_near_duplicate_nor_make_one():
    def barred(frames):
        return np.pad(frames, ((0, 0), (0, 0), (24, 24), (0, 0)))

    films = []
    for source in range(4):
        rng = np.random.default_rng(100 + source)
        films.append(film(replace(draw_scene(rng), pan=0, zoom=0), rng, frames=16, size=(64, 96), fps=12))
    hashed = [hash_video(f) for f in [*films, *map(barred, films)]]
    pairs = find_pairs(np.stack([hashes for hashes, _ in hashed]), lambda row: hashed[row][1])
    assert {tuple(sorted((p["x"], p["y"]))) for p in pairs} == {(i, i + 4) for i in range(4)}


def test_empty_pictures_are_like_nothing():
    black, grey = (np.full((FRAMES, 40, 60, 3), level, np.uint8) for level in (0, 128))
    hashed = [hash_video(frames) for frames in (black, black, grey, grey)]
    assert find_pairs(np.stack([hashes for hashes, _ in hashed]), lambda row: hashed[row][1]) == []


def test_tiles_drop_no_picture_that_would_pass():
    """Many at once, as `same_share` says of each pair: of pictures that are alike in part, and of unlike ones."""
    random = np.random.default_rng(0)
    base = cv2.GaussianBlur(random.integers(0, 256, (64, 64)).astype(np.uint8), (0, 0), 1.5)
    others = []
    for hidden in range(0, 65, 4):
        other = cv2.GaussianBlur(random.integers(0, 256, (64, 64)).astype(np.uint8), (0, 0), 1.5)
        other[:, hidden:] = base[:, hidden:]
        others.append(other)
    shares = np.array([same_share(base, other) for other in others])
    one, many = Tiles([base]), Tiles(others)
    for least in np.unique(shares):
        assert one.may_pass(0, many, np.arange(len(others)), least)[shares >= least].all()
    passed = one.may_pass(0, many, np.arange(len(others)), LEAST_SHARE)
    assert (passed == (shares >= LEAST_SHARE)).all()
    assert 0 < passed.sum() < len(others)


def test_the_hash_of_a_mirrored_picture_is_known_from_its_own():
    pictures = np.random.default_rng(0).normal(size=(50, 32, 32)).astype(np.float32)
    assert (hash_pictures(pictures[:, :, ::-1]) == hash_pictures(pictures) ^ MIRROR).all()


def test_threads_of_the_search_have_no_threads_of_their_own():
    hashed = [hash_video(np.random.default_rng(0).integers(0, 256, (4, 30, 40, 3), np.uint8))] * 2
    seen = []

    def pictures_of(row):
        seen.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return hashed[row][1]

    with threadpool_limits(2):
        find_pairs(np.stack([hashes for hashes, _ in hashed]), pictures_of, threads=2)
    assert seen
    assert set(seen) == {1}


def test_threads_and_blocks_change_nothing():
    random = np.random.default_rng(0)
    hashed = [hash_video(random.integers(0, 256, (4, 30, 40, 3), dtype=np.uint8)) for _ in range(70)]
    hashed += [hashed[i] for i in range(0, 70, 3)]
    hashes = np.stack([each for each, _ in hashed])
    one, two = (find_pairs(hashes, lambda row: hashed[row][1], threads) for threads in (1, 2))
    assert one == two
    assert {(p["x"], p["y"]) for p in one} >= {(3 * i, 70 + i) for i in range(24)}


def row(video, group, fold, split, label="a"):
    return {"id": video, "label": label, "group": group, "repeat": 0, "fold": fold, "split": split}


def pair(first, second, score=0.9, change="copy"):
    return {"first": first, "second": second, "change": change, "score": score, "first_frame": 1, "second_frame": 2}


def probed(*ids, digest=None):
    return [{"id": i, "label": "a", "digest": (digest or {}).get(i, i), "size_bytes": 9} for i in ids]


FOLDS = [
    *(row("v1", "g", 0, "test"), row("v2", "h", 0, "train"), row("v3", "i", 0, "val"), row("v4", "h", 0, "train", "b")),
    *(
        row("v1", "g", 1, "train"),
        row("v2", "h", 1, "test"),
        row("v3", "i", 1, "train"),
        row("v4", "h", 1, "test", "b"),
    ),
]


def audited(pairs=(), scheme="grouped", allowed=(), rows=FOLDS, digest=None):
    videos = probed("v1", "v2", "v3", "v4", "broken", digest=digest)
    folds = pa.Table.from_pylist(rows, ASSIGNED)
    return audit_folds(videos, folds, pairs, {"source": "manifest", "count": 3}, scheme, allowed)


def test_nothing_leaks_where_pairs_stay_in_one_group():
    facts = audited([pair("v2", "v4")])
    assert (facts["leaks"], facts["stops"], facts["mark"], facts["leaking"]) == (0, [], "", 0)
    assert facts["near_duplicates"] == {"pairs": 1, "across_groups": 0, "other_labels": 1, "across_splits": []}
    assert (facts["manifest"], facts["usable"], facts["quarantined"], facts["tested"]) == (5, 4, 1, 3)


def test_a_pair_of_two_groups_in_two_splits_leaks_unless_allowed():
    found = [pair("v1", "v2", 0.85), pair("v1", "v4", 0.95, "mirrored copy"), pair("v1", "unused")]
    facts = audited(found)
    assert facts["stops"] == ["near_duplicates"]
    assert [(p["second"], p["folds"], p["groups"], p["labels"]) for p in facts["near_duplicates"]["across_splits"]] == [
        ("v4", [0, 1], ["g", "h"], ["a", "b"]),
        ("v2", [0, 1], ["g", "h"], ["a", "a"]),
    ]
    assert facts["mark"] == "near duplicates: 3 of 3 test videos leak"
    allowed = audited(found, allowed=["near_duplicates"])
    assert (allowed["stops"], allowed["mark"], allowed["leaks"]) == ([], facts["mark"], 2)
    assert audited(found, allowed=["groups"])["stops"] == ["near_duplicates"]


def test_torn_groups_and_duplicates_leak_and_random_folds_allow_all():
    rows = [row("v1", "g", 0, "test"), row("v2", "g", 0, "train"), row("v3", "i", 0, "val"), row("v4", "k", 0, "train")]
    facts = audited(rows=rows, digest={"v3": "v4"})
    assert facts["stops"] == ["groups", "duplicates"]
    assert facts["groups_across_splits"] == [{"fold": 0, "value": "g", "splits": ["test", "train"]}]
    assert facts["leaking"] == 1
    random = audited(rows=rows, scheme="random", allowed=["random"])
    assert (random["stops"], random["mark"]) == ([], "random folds: 1 of 1 test videos leak")


@pytest.fixture
def written(tmp_path):
    """Write the files of a small run whose video names look like markup."""
    names = ["<script>alert(1)</script>.mp4", "b&b.mp4", "c.mp4"]
    rows = [row(n, f"<b>{n}", 0, split) for n, split in zip(names, ("test", "train", "val"), strict=True)]
    found = [pair(names[0], names[1]), pair(names[1], names[2], 0.8, "background")]
    write_table(tmp_path / "folds.parquet", rows, ASSIGNED)
    write_table(tmp_path / "matches.parquet", found, SCHEMA)
    groups = {"source": "proposed", "count": 3, "joined": 0, "by_name": 0, "by_picture": 0}
    groups |= {"pattern": "folder", "pairs_within": 0.5, "by_chance": 0.1}
    folds = pa.Table.from_pylist(rows, ASSIGNED)
    write_json(tmp_path / "audit.json", audit_folds(probed(*names), folds, found, groups, "grouped", []))
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 24, 24, 3), dtype=np.uint8)
    with ArrayWriter(tmp_path / "clips.npy", frames.shape[1:], np.uint8) as array:
        for each in frames:
            array.append(each)
    index = [{"id": n, "row": i, "clips_box": [4, 0, 16, 24]} for i, n in enumerate(names)]
    write_table(tmp_path / "index.parquet", index, index_schema({"clips": Uniform(frames=1, size=16)}))
    return tmp_path


def test_the_page_shows_pairs_side_by_side_and_escapes_names(written):
    arguments = [written / name for name in ("audit.json", "folds.parquet", "matches.parquet")]
    write_page(*arguments, [written / "clips.npy"], [written / "index.parquet"], written / "audit.html")
    page = (written / "audit.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.mp4" in page
    assert "&lt;b&gt;b&amp;b.mp4" in page
    assert "The folds leak: nothing is trained" in page
    assert "Of the near-duplicate pairs, 50&nbsp;% lie within one such group" in page


def test_the_gate_stops_leaking_folds_and_says_what_to_do(written):
    arguments = written / "folds.parquet", written / "audit.json", "audit.html", written / "splits.parquet"
    with pytest.raises(ValueError, match="the folds leak, so nothing is trained: 2 near duplicates") as error:
        check_leakage(*arguments)
    for part in (
        "'b&b.mp4' and 'c.mp4' (background, 0.80)",
        "merge_near_duplicates",
        "allow_leakage: [near_duplicates]",
    ):
        assert part in str(error.value)
    assert not (written / "splits.parquet").exists()


def test_folds_that_pass_the_gate_are_not_changed(written):
    write_json(written / "audit.json", {"stops": [], "mark": ""})
    check_leakage(written / "folds.parquet", written / "audit.json", "audit.html", written / "splits.parquet")
    assert read_table(written / "splits.parquet").equals(read_table(written / "folds.parquet"))
