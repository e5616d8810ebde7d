"""Augmented copies: what each operation does, what is drawn for it, and that copies can be made again byte for byte."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clipfold.clips import operations, reader
from clipfold.clips.augment import SCHEMA, Copies, draw, draw_shard, store_copies
from clipfold.clips.operations import apply
from clipfold.clips.presets import OPERATIONS, PRESETS, resolve
from clipfold.clips.reader import Clips
from clipfold.clips.resize import resize_shard
from clipfold.settings import AugmentSettings
from clipfold.storage.files import read_table, write_table

SIZE, FRAMES = 32, 8
BOX = (4, 0, 23, 31)  # odd edges, which H.264 has to pad
TEMPORAL = ("drop", "repeat", "speed", "jitter", "reverse")
ALWAYS = {name: {"probability": 1} for name in OPERATIONS}
CLIP = np.zeros((FRAMES, SIZE, SIZE, 3), np.uint8)
CLIP[:, 4:27, :31] = np.random.default_rng(0).integers(30, 200, (FRAMES, 23, 31, 3), np.uint8)
CONTENT = CLIP[:, 4:27, :31]


def changed(name, clip=CLIP, copy=0, **limits):
    operations = resolve("none", [], {name: {"probability": 1, **limits}})
    return apply(clip, BOX, draw(operations, 0, "a.mp4", copy))


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_changes_the_content_and_leaves_clip_and_padding_alone(name):
    before = CLIP.copy()
    copies = [changed(name, copy=copy) for copy in range(4)]
    assert any(not np.array_equal(copy, CLIP) for copy in copies)
    assert np.array_equal(CLIP, before)
    for copy in copies:
        assert (copy.shape, copy.dtype) == (CLIP.shape, CLIP.dtype)
        outside = copy.copy()
        outside[:, 4:27, :31] = 0
        assert not outside.any()


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("noise", "h264")])
def test_all_frames_of_a_clip_change_alike(name):
    still = np.repeat(CLIP[:1], FRAMES, axis=0)
    copy = changed(name, still)
    assert (copy == copy[:1]).all()


@pytest.mark.parametrize("name", TEMPORAL)
def test_changes_in_time_show_the_frames_of_the_clip(name):
    numbered = np.arange(FRAMES, dtype=np.uint8)[:, None, None, None] + np.zeros_like(CLIP)
    orders = [changed(name, numbered, copy)[:, 5, 0, 0].tolist() for copy in range(8)]
    assert all(order == sorted(order, reverse=name == "reverse") for order in orders)
    if name == "reverse":
        assert orders[0] == [*range(FRAMES)][::-1]
    elif name == "jitter":
        assert all(abs(shown - place) <= 1 for order in orders for place, shown in enumerate(order))
    else:
        assert len({str(order) for order in orders}) > 2


def test_changes_in_space_are_those_that_were_drawn():
    assert np.array_equal(changed("flip")[:, 4:27, :31], CONTENT[:, :, ::-1])
    whole = [
        ("rotate", {"degrees": 0}),
        ("affine", {"shear": 0, "x": 0, "y": 0}),
        ("crop", {"share": 1, "x": 0, "y": 0}),
    ]
    assert np.array_equal(apply(CLIP, BOX, whole), CLIP)
    turned = apply(CLIP, (4, 0, 23, 23), [("rotate", {"degrees": 90})])
    assert np.array_equal(turned[:, 4:27, :23], np.rot90(CLIP[:, 4:27, :23], axes=(1, 2)))
    right = apply(CLIP, BOX, [("affine", {"shear": 0, "x": 2 / 31, "y": 0})])
    assert np.array_equal(right[:, 4:27, 2:31], CONTENT[:, :, :29])
    part = apply(CLIP, BOX, [("cutout", {"share": 0.5, "x": 1, "y": 0})])[:, 4:27, :31]
    assert not part[:, :12, 15:].any()
    assert np.array_equal(part[:, 12:], CONTENT[:, 12:])


def test_colours_follow_their_formula():
    drawn = {"brightness": 0.1, "contrast": 0.8, "saturation": 0.5}
    grey = CONTENT @ np.array([0.299, 0.587, 0.114])
    expected = grey[..., None] + 0.5 * (CONTENT - grey[..., None])
    expected = (grey.mean() + 0.8 * (expected - grey.mean()) + 25.5).clip(0, 255)
    assert np.abs(apply(CLIP, BOX, [("colour", drawn)])[:, 4:27, :31] - expected).max() <= 1.5


def test_losses_of_quality_grow_with_what_is_drawn():
    def lost(name, **drawn):
        smooth = np.zeros_like(CLIP)
        smooth[:, 4:27, :31] = (np.arange(31) * 8)[:, None] * np.array([1, 0.5, 0.8]) + np.arange(23)[:, None, None]
        return np.abs(apply(smooth, BOX, [(name, drawn)]).astype(int) - smooth).mean()

    assert 0 < lost("jpeg", quality=95) < lost("jpeg", quality=20)
    assert 0 < lost("h264", crf=18) < lost("h264", crf=45)
    assert 0 < lost("blur", sigma=0.5) < lost("blur", sigma=4)
    assert 0 < lost("downscale", share=0.7) < lost("downscale", share=0.2)
    assert lost("noise", sigma=0.1, seed=1) == pytest.approx(0.1 * 255 * 0.8 * 23 * 31 / SIZE**2, rel=0.15)
    assert 0 < lost("elastic", strength=0.02, seed=1) < lost("elastic", strength=0.2, seed=1)


def test_a_forensic_copy_has_every_pixel_beside_its_neighbours():
    seen = set()
    for copy in range(12):
        made = apply(CLIP, BOX, draw(resolve("forensic", [], {}), 0, "a.mp4", copy))[:, 4:27, :31]
        ways = [CONTENT[::way, :, ::side] for way in (1, -1) for side in (1, -1)]
        seen.add(next(number for number, way in enumerate(ways) if np.array_equal(made, way)))
    assert seen == {0, 1, 2, 3}


def test_what_is_drawn_never_changes():
    """Copies of finished runs could not be made again."""
    drawn = json.dumps(draw(resolve("video", [], ALWAYS), 7, "a.mp4", 0))
    assert hashlib.sha256(drawn.encode()).hexdigest()[:16] == "6a3dc387995666b9"
    assert draw(resolve("light", [], {}), 7, "a.mp4", 1) == [
        ("crop", {"share": 0.9587154602312332, "x": 0.09502663130434952, "y": 0.5839438097463951}),
        ("flip", {}),
        (
            "colour",
            {"brightness": 0.026051936139467814, "contrast": 1.019894315680997, "saturation": 1.020636049439545},
        ),
    ]


def test_leaving_out_an_operation_changes_no_other():
    everything = draw(resolve("video", [], ALWAYS), 0, "a.mp4", 0)
    fewer = draw(
        resolve("video", ["flip", "reverse"], {k: v for k, v in ALWAYS.items() if k not in ("flip", "reverse")}),
        0,
        "a.mp4",
        0,
    )
    assert fewer == [each for each in everything if each[0] not in ("flip", "reverse")]
    assert [name for name, _ in everything] == list(OPERATIONS)


def test_draws_stay_within_their_limits_and_differ():
    operations = resolve("video", [], ALWAYS)
    copies = [dict(draw(operations, 0, "a.mp4", copy)) for copy in range(200)]
    of = {name: [copy[name] for copy in copies] for name in OPERATIONS}
    assert all(0.7 <= each["share"] <= 1 for each in of["crop"])
    assert all(abs(each["degrees"]) <= 10 for each in of["rotate"])
    assert all(1 / 1.5 <= each["factor"] <= 1.5 for each in of["speed"])
    assert {each["quality"] for each in of["jpeg"]} >= {40, 100}
    assert {each["crf"] for each in of["h264"]} == set(range(18, 37))
    assert min(each["contrast"] for each in of["colour"]) < 0.75
    assert len({each["seed"] for each in of["noise"]}) == 200
    light = [len(draw(resolve("light", [], {}), 0, "a.mp4", copy)) for copy in range(200)]
    assert 70 < light.count(2) < 130  # half of them are not mirrored


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """Three videos of which one has no clip, and what was drawn for two copies of each."""
    folder = tmp_path_factory.mktemp("shard")
    np.save(folder / "clips.npy", np.stack([CLIP, CLIP[::-1]]))
    rows = [("b.mp4", 1, [*BOX]), ("lost.mp4", None, None), ("a.mp4", 0, [*BOX])]
    index = pa.Table.from_pylist([{"id": i, "row": row, "clips_box": box} for i, row, box in rows])
    write_table(folder / "index.parquet", index)
    operations = resolve("video", [], ALWAYS)
    draw_shard(folder / "index.parquet", folder / "drawn.parquet", operations, copies=2, seed=3)
    return folder


def copies_of(shard, size=SIZE):
    return Copies(shard / "clips.npy", shard / "index.parquet", shard / "drawn.parquet", size)


@pytest.mark.parametrize(("frames", "size"), [(3, SIZE), (FRAMES, SIZE), (3, 24)])
def test_stored_and_replayed_copies_are_the_same_bytes(shard, frames, size, tmp_path):
    copies = copies_of(shard, size)
    store_copies(copies, tmp_path / "copies.npy")
    resize_shard(shard / "clips.npy", tmp_path / "clips.npy", size)
    stored = np.load(tmp_path / "copies.npy")
    assert stored.shape == copies.shape == (4, FRAMES, size, size, 3)
    assert np.array_equal(stored[1:3], copies[1:3])
    files = {"clips": [tmp_path / "clips.npy"], "index": [shard / "index.parquet"]}
    files["augmented_index"] = [shard / "drawn.parquet"]
    replayed = Clips(files | {"decoded": [shard / "clips.npy"]}, frames, SIZE, size)
    read = Clips(files | {"augmented": [tmp_path / "copies.npy"]}, frames, SIZE, size)
    order = ["b.mp4", "a.mp4", "b.mp4", "a.mp4", "a.mp4"], [2, 0, 1, 1, 2]
    assert replayed.versions("a.mp4") == read.versions("a.mp4") == 3
    assert np.array_equal(replayed.gather(*order), read.gather(*order))
    assert not np.array_equal(stored[0], stored[1])
    assert read_table(shard / "drawn.parquet").schema == SCHEMA


@pytest.mark.parametrize(("room", "made"), [(0, 12), (1, 10), (4, 4)])
def test_a_copy_is_made_once_while_there_is_room_for_it(shard, room, made, monkeypatch):
    calls = []
    monkeypatch.setattr(operations, "apply", lambda *given: calls.append(1) or apply(*given))
    monkeypatch.setattr(reader, "KEPT_BYTES", room * CLIP.nbytes)
    files = {"clips": ["clips.npy"], "index": ["index.parquet"], "augmented_index": ["drawn.parquet"]}
    clips = Clips({kind: [shard / name for name in names] for kind, names in files.items()}, FRAMES, SIZE, SIZE)
    order = ["a.mp4", "b.mp4"] * 2, [1, 1, 2, 2]
    epochs = [clips.gather(*order) for _ in range(3)]
    assert all(np.array_equal(epoch, copies_of(shard)[:][[0, 2, 1, 3]]) for epoch in epochs)
    assert len(calls) == made


def test_copies_do_not_depend_on_the_shards(shard, tmp_path):
    index = read_table(shard / "index.parquet")
    for number in range(3):
        write_table(tmp_path / "index.parquet", index.slice(number, 1))
        draw_shard(
            tmp_path / "index.parquet", tmp_path / "drawn.parquet", resolve("video", [], ALWAYS), copies=2, seed=3
        )
        alone = {row["copy"]: row["drawn"] for row in read_table(tmp_path / "drawn.parquet").to_pylist()}
        rows = [
            row for row in read_table(shard / "drawn.parquet").to_pylist() if row["id"] == index["id"][number].as_py()
        ]
        assert alone == {row["copy"]: row["drawn"] for row in rows}


def test_copies_do_not_depend_on_hashes_and_threads(shard):
    code = (
        "import sys, hashlib, cv2; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from clips.test_augment import copies_of; copies = copies_of(Path(sys.argv[1]));"
        "cv2.setNumThreads(int(sys.argv[3]));"
        "print(hashlib.sha256(copies[:].tobytes()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "4"}
    command = [sys.executable, "-c", code, str(shard), str(Path(__file__).parents[1]), "4"]
    other = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(copies_of(shard)[:].tobytes()).hexdigest()


def test_presets_can_be_changed():
    assert resolve("none", [], {}) == {}
    assert AugmentSettings(preset="none").drawn["copies"] == 0
    assert list(resolve("light", [], {})) == ["crop", "flip", "colour"]
    assert resolve("light", ["flip"], {"crop": {"share": 0.9}, "blur": {}}) == {
        "crop": {"probability": 1.0, "share": 0.9},
        "colour": {"probability": 1.0, "brightness": 0.1, "contrast": 0.2, "saturation": 0.2},
        "blur": {"probability": 0.2, "sigma": 1},
    }
    assert list(PRESETS) == ["none", "light", "forensic", "video"]


def test_the_reference_lists_every_operation_with_its_defaults_and_limits():
    table = (Path(__file__).parents[3] / "config/README.md").read_text().partition("| operation | probability |")[2]
    rows = [re.split(r" *\| *", row)[1:4] for row in table.splitlines()[2 : 2 + len(OPERATIONS)]]
    limits = {
        name: ", ".join(f"`{k}` {a.default:g} ({a.low:g} to {a.high:g})" for k, a in operation.arguments.items())
        for name, operation in OPERATIONS.items()
    }
    assert rows == [[f"`{name}`", f"{each.probability:g}", limits[name]] for name, each in OPERATIONS.items()]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"copies": -1}, r"augment\.copies is -1: use 0 to 64"),
        ({"preset": "lite"}, r"augment\.preset is 'lite': did you mean 'light'\?"),
        ({"keep": "replay"}, r"augment\.keep is 'replay': did you mean 'replayed'\?"),
        ({"without": ["flipp"]}, r"augment\.without is 'flipp': did you mean 'flip'\?"),
        ({"without": [["flip"]]}, r"augment\.without is \['flip'\]: did you mean 'flip'\?"),
        ({"operations": {"blurr": {}}}, r"augment\.operations is 'blurr': did you mean 'blur'\?"),
        ({"operations": {"crop": {"shar": 1}}}, r"augment\.operations\.crop is 'shar': did you mean 'share'\?"),
        ({"operations": {"crop": {"share": 0}}}, r"augment\.operations\.crop\.share is 0: use 0.05 to 1"),
        ({"operations": {"crop": {"share": "0.9"}}}, r"crop\.share is '0.9': use 0.05 to 1"),
        ({"operations": {"flip": 0.5}}, r"flip is 0\.5: use a mapping such as \{probability: 0\.5\}"),
        ({"operations": {"flip": {}}, "without": ["flip"]}, r"flip is \{\}: augment\.without leaves it out"),
    ],
)
def test_mistakes_are_named_with_their_remedy(settings, said):
    with pytest.raises(ValueError, match=said):
        AugmentSettings(**settings)
