"""Test that views with `region: face` show the largest face; a made detector takes red discs for faces."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from helpers.disc_detector import DIAMETER, write_detector
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from clipfold.config import read_config
from clipfold.demo.encode import Take, encode, encode_image
from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.cache import Cache
from clipfold.storage.files import read_table
from clipfold.storage.hashing import file_digest
from clipfold.video.decode import decode_video
from clipfold.video.decode_parts import decode_parts
from clipfold.video.decode_shard import decode_shard
from clipfold.video.faces import Detector, face_region, largest_face, rectangles
from clipfold.video.geometry import Region
from clipfold.video.in_memory import take_views
from clipfold.video.parts import Part
from clipfold.video.probe import probe_video
from clipfold.video.probe_shard import probe_shard
from clipfold.video.stream import Stream
from clipfold.video.views import Timeline, build_views
from clipfold.video.windows import decode_windows

WIDTH, HEIGHT = 640, 360  # the detector sees half of it
RADIUS = DIAMETER  # of a disc, in these pixels
PLAIN = {"kind": "uniform", "frames": 6}
FACES = {"clips": PLAIN | {"region": "face"}}
SQUARE = (180, 320)
TIMES = [frame / 10 for frame in range(40)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_detector(tmp_path_factory.mktemp("model") / "discs.onnx"))


def drawn(places, size=(WIDTH, HEIGHT)):
    """Draw a red disc at each of its places in turn, x and y in pixels, before green and blue ones that stay."""
    for place in places:
        picture = np.full((size[1], size[0], 3), 90, np.uint8)
        cv2.circle(picture, (500, 100), RADIUS, (20, 200, 20), -1)
        cv2.circle(picture, (80, 280), RADIUS, (20, 20, 200), -1)
        if place:
            cv2.circle(picture, place, RADIUS, (230, 20, 20), -1)
        yield picture


def written(path, frames):
    frames = np.stack([*frames])
    path.write_bytes(encode(frames, Take("h264", ".mp4", Fraction(10), len(frames)), bits_per_pixel=1.0))
    return Stream.of(probe_video(str(path), ProbeSettings()) | {"id": "a", "path": str(path)})


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """Film a disc that goes from 200 to 276 pixels in 2 s, then nothing for 2 s."""
    places = [(200 + 4 * t, 150) for t in range(20)] + [None] * 20
    return written(tmp_path_factory.mktemp("faces") / "a.mp4", drawn(places))


def test_a_view_shows_the_face_wherever_it_goes_with_a_margin(stream, model):
    facts = decode_video(stream, build_views(FACES, 48, model)).facts
    region = Region(*facts["clips_region"])
    place = region.of(HEIGHT, WIDTH)
    for x in (200, 276):
        assert place.left <= x - RADIUS
        assert x + RADIUS <= place.left + place.width
    assert place.top <= 150 - RADIUS
    assert place.top + place.height >= 150 + RADIUS
    assert place.width == place.height == pytest.approx(1.3 * (60 + 2 * RADIUS), abs=20)  # 208 to 268, and a grid of 16
    assert facts["warning"] == ""


def test_the_face_is_cut_as_sharp_as_the_file_has_it(stream, model):
    decoded = decode_video(stream, build_views(FACES, 48, model))
    place = Region(*decoded.facts["clips_region"]).of(HEIGHT, WIDTH)
    first = next(drawn([(200 + 4 * int(decoded.facts["clips_frames"][0]), 150)]))
    best = cv2.resize(
        first[place.top : place.top + place.height, place.left : place.left + place.width],
        (48, 48),
        interpolation=cv2.INTER_AREA,
    )
    assert np.abs(decoded.arrays["clips"][0].astype(float) - best).mean() < 4


def test_a_part_without_a_face_is_whole_and_says_so(stream, model):
    views = build_views(FACES, 48, model)
    parts = dict(decode_parts(stream, views, [Part("face", 0.0, 2.0), Part("none", 2.0, 4.0)]))
    none, face = parts[Part("none", 2.0, 4.0)], parts[Part("face", 0.0, 2.0)]
    assert face.facts["clips_region"] is not None
    assert none.facts["clips_region"] is None
    assert none.facts["warning"] == "no face is seen: clips show whole frames"
    whole = dict(decode_parts(stream, build_views({"clips": PLAIN}, 48), [Part("none", 2.0, 4.0)]))
    assert none.facts["clips_box"] == whole[Part("none", 2.0, 4.0)].facts["clips_box"]


def test_the_index_holds_where_the_face_is_in_each_frame_that_was_looked_at(stream, model):
    facts = decode_video(stream, build_views(FACES, 48, model)).facts
    indices = [int(place[0]) for place in facts["clips_track"]]
    assert indices == [index for index in build_views(FACES, 48, model)["clips"].region.select(TIMES) if index < 20]
    for index, *edges in facts["clips_track"]:
        place = Region(*edges).of(HEIGHT, WIDTH)
        assert place.left + place.width / 2 == pytest.approx(200 + 4 * index, abs=9)  # the detector's grid has 16
        assert place.top + place.height / 2 == pytest.approx(150, abs=9)
        assert place.width == pytest.approx(2 * RADIUS, abs=2)


def test_parts_windows_folders_and_frames_in_memory_have_the_same_track(stream, tmp_path, model):
    views, settings = build_views(FACES, 48, model), DecodeSettings(size=48, views=FACES, face_model=model)
    seen, none = (found for _, found in decode_parts(stream, views, [Part("face", 0.0, 2.0), Part("none", 2.0, 4.0)]))
    windows = [window.decoded.facts for window in decode_windows(stream, views, 2.0, 2.0)]
    assert len(seen.facts["clips_track"]) == 8
    assert [facts["clips_track"] for facts in windows] == [seen.facts["clips_track"], None]
    assert none.facts["clips_track"] is None
    frames = list(drawn([(200 + 4 * t, 150) for t in range(20)]))
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames):
        (tmp_path / "frames" / f"{number}.png").write_bytes(encode_image(frame, ".png"))
    folder = decoded(tmp_path, {"a": str(tmp_path / "frames")}, settings, rates={"a": 10.0})["a"]
    timeline = Timeline("a", TIMES[:20], [])
    memory = take_views(np.stack(frames), timeline, views, "rgb24").facts
    assert folder["clips_track"] == memory["clips_track"]
    assert folder["clips_region"] == memory["clips_region"]
    assert [place[0] for place in memory["clips_track"]] == [place[0] for place in seen.facts["clips_track"]]
    assert np.allclose(memory["clips_track"], seen.facts["clips_track"], atol=0.02)


def test_a_cache_keeps_the_track(stream, tmp_path, model):
    settings = DecodeSettings(size=48, views=FACES, face_model=model)
    rows = []
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        rows.append(decoded(tmp_path / name, {"a": stream.path}, settings, cache=Cache(tmp_path / "cache", "")))
    assert rows[1]["a"]["decoded"] == 0
    assert rows[0]["a"]["clips_track"] == rows[1]["a"]["clips_track"] != []


def test_motion_and_faces_are_found_in_one_pass(stream, model):
    both = FACES | {"motion": {"kind": "luma", "rate": 10.0, "frames": 8, "size": 48, "region": "motion"}}
    facts = decode_video(stream, build_views(both, 48, model)).facts
    assert facts["clips_region"] == decode_video(stream, build_views(FACES, 48, model)).facts["clips_region"]
    assert facts["motion_region"] != facts["clips_region"]
    assert "motion_track" not in facts


def test_an_image_shows_its_face_and_near_duplicates_are_searched_in_all_of_it(tmp_path, model):
    config = read_config({"modality": "image", "decode": {"size": 48, "views": FACES, "face_model": model}})
    views = config.decode.views
    assert views == {"clips": FACES["clips"] | {"frames": 1}, "whole": PLAIN | {"frames": 1, "region": "none"}}
    paths = {"face": tmp_path / "face.png", "none": tmp_path / "none.png"}
    for (name, path), place in zip(paths.items(), [(200, 150), None], strict=True):
        path.write_bytes(encode_image(next(drawn([place])), ".png"))
        paths[name] = str(path)
    rows = decoded(tmp_path, paths, config.decode, modality="image")
    region = Region(*rows["face"]["clips_region"]).of(HEIGHT, WIDTH)
    assert region.left <= 200 - RADIUS <= 200 + RADIUS <= region.left + region.width < 400
    assert rows["none"]["clips_region"] is None


def decoded(folder, paths, settings, cache=None, **probe):
    arrays = {name: folder / f"{name}.npy" for name in settings.views}
    probe_shard(paths, folder / "metadata", ProbeSettings(), 1, **probe)
    decode_shard(paths, folder / "metadata", arrays, folder / "index", settings, 1, cache=cache)
    return {row["id"]: row for row in read_table(folder / "index").to_pylist()}


# --- which face -------------------------------------------------------------------------------------------------------


def face(x, y=0.5, edge=0.1):
    """Return a rectangle: centre and edge in shares of the width; frames are of SQUARE."""
    high = edge * SQUARE[1] / SQUARE[0]
    return np.array([y - high / 2, x - edge / 2, y + high / 2, x + edge / 2])


def region_of(*frames):
    faces = [np.reshape(list(each), (-1, 4)) for each in frames]
    found = largest_face(faces)
    return face_region(found, SQUARE, 1 / 6) if found else None


def test_of_several_faces_the_largest_is_shown_also_if_they_change_order():
    large, small = [face(0.3 + 0.01 * t, edge=0.2) for t in range(4)], [face(0.8, edge=0.1)] * 4
    frames = [(a, b) if t % 2 else (b, a) for t, (a, b) in enumerate(zip(large, small, strict=True))]
    assert region_of(*frames) == region_of(*[(each,) for each in large])


def test_what_one_of_several_frames_shows_is_an_error_of_the_detector():
    assert region_of([], [face(0.5)], []) is None
    assert region_of([face(0.5)]) is not None
    assert region_of([face(0.5, edge=0.1)], [face(0.5, edge=0.11), face(0.8, edge=0.4)]) == region_of(
        [face(0.5, edge=0.1)], [face(0.5, edge=0.11)]
    )


def test_a_face_that_is_missed_for_a_while_goes_on():
    assert region_of([face(0.5)], [], [face(0.55)]) == region_of([face(0.5)], [face(0.55)])


def test_a_gap_is_bridged_by_the_frames_and_not_beyond_those_that_show_the_face():
    frames = [np.reshape(list(each), (-1, 4)) for each in ([], [face(0.5)], [], [face(0.6)], [])]
    found = rectangles(largest_face(frames), [0, 10, 11, 20, 30])
    assert list(found) == [10, 11, 20]
    assert found[11].left == pytest.approx(0.5 - 0.05 + 0.01)
    assert found[11].width == pytest.approx(0.1)


def test_no_face_at_all():
    assert region_of([], []) is None


@given(st.lists(st.tuples(st.floats(0.2, 0.3), st.floats(0.45, 0.55), st.floats(0.05, 0.08)), min_size=2, max_size=8))
def test_the_region_holds_every_frame_s_face_within_the_picture(places):
    faces = [face(*place) for place in places]
    region = region_of(*[[each] for each in faces])
    assert region is not None
    first, last = np.min(faces, axis=0)[:2], np.max(faces, axis=0)[2:]
    assert (first >= np.array([region.top, region.left]) - 1e-9).all()
    assert (last <= np.array([region.top + region.height, region.left + region.width]) + 1e-9).all()
    assert min(region.top, region.left) >= 0
    assert max(region.top + region.height, region.left + region.width) <= 1 + 1e-9
    assert region.width >= 1 / 6 - 1e-9
    assert region.height * SQUARE[0] == pytest.approx(region.width * SQUARE[1])


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_content_of_the_file_decides_and_not_its_place(tmp_path, model):
    moved, other = tmp_path / "moved.onnx", write_detector(tmp_path / "other.onnx", unlike="another")
    moved.write_bytes(Path(model).read_bytes())
    finders = [repr(build_views(FACES, 48, str(path))["clips"].region) for path in (model, moved, other)]
    assert finders[0] == finders[1] != finders[2]
    assert file_digest(model) in finders[0]


@pytest.mark.parametrize("model", ["", "nowhere.onnx", "."])
def test_a_file_that_is_missing_is_a_mistake_in_the_config(model):
    with pytest.raises(ValueError, match=rf"decode\.face_model is '{model}': decode\.views\.clips\.region is 'face'"):
        build_views(FACES, 48, model)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate((1 << 24) + 1)
    with pytest.raises(ValueError, match="it has 16777217 bytes, more than YuNet"):
        build_views(FACES, 48, str(tmp_path / "large"))


def other_network():
    shape = [1, 3, "height", "width"]
    given, found = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "output"))
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["output"])], "other", [given], [found])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("content", [b"no network", other_network()])
def test_another_network_fails_the_job_and_no_video_is_to_blame(tmp_path, stream, content):
    (tmp_path / "other.onnx").write_bytes(content)
    settings = DecodeSettings(size=48, views=FACES, face_model=str(tmp_path / "other.onnx"))
    with pytest.raises(ValueError, match=r"decode\.face_model is .*other\.onnx': it is not the network of OpenCV's"):
        decoded(tmp_path, {"a": stream.path}, settings)


@pytest.mark.parametrize("largest", [1, 128])
def test_a_network_with_fewer_numbers_than_opencv_reads_is_refused_before_it_reads_them(largest, tmp_path, model):
    """128 boxes are enough for the first picture of 64 pixels; a larger one needs more."""
    forged = onnx.load(model)
    (last,) = (node for node in forged.graph.node if node.output[0] == "bbox_8")
    last.output[0] = "all_boxes"
    bounds = {"first": [0], "end": [largest], "axis": [1]}
    forged.graph.initializer.extend(numpy_helper.from_array(np.int64(value), name) for name, value in bounds.items())
    forged.graph.node.append(helper.make_node("Slice", ["all_boxes", *bounds], ["bbox_8"]))
    onnx.save(forged, tmp_path / "forged.onnx")

    def look():
        detector = Detector(str(tmp_path / "forged.onnx"), file_digest(tmp_path / "forged.onnx"))
        detector.faces(np.zeros((180, 320, 3), np.uint8))

    with pytest.raises(ValueError, match=r"decode.face_model is \['bbox_8'\]: it is not the network of YuNet"):
        look()


def test_a_file_that_changes_while_a_job_runs_is_noticed(tmp_path, model):
    path = write_detector(tmp_path / "a.onnx", unlike="later")
    with pytest.raises(ValueError, match="it has changed since the job began"):
        Detector(str(path), file_digest(model))


def test_an_opencv_without_the_detector_is_named(monkeypatch, model):
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    with pytest.raises(ValueError, match=r"OpenCV \d\S+ lacks FaceDetectorYN: install 4\.10 or newer"):
        Detector(model, file_digest(model))
