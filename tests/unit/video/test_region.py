"""Test that views with a region show what moves, from the same frames wherever a video or a part of it is decoded."""

import subprocess
import sys
import textwrap
from fractions import Fraction

import numpy as np
import pytest
from helpers.moving import film
from hypothesis import given, settings
from hypothesis import strategies as st

from clipfold.demo.encode import Take, encode
from clipfold.settings import ProbeSettings
from clipfold.storage.files import read_table
from clipfold.video.decode import decode_video
from clipfold.video.decode_parts import decode_parts
from clipfold.video.geometry import WHOLE, Region
from clipfold.video.moving_region import moving_region
from clipfold.video.parts import Part
from clipfold.video.probe import probe_video
from clipfold.video.region import Motion
from clipfold.video.sampling import neighbours, steady
from clipfold.video.stream import Stream
from clipfold.video.views import build_views
from clipfold.video.windows import decode_windows

RATE = 10
WIDTH, HEIGHT = 320, 180
THING = (0.25, 0.35, 0.08, 0.0)
TIMES = np.arange(20) / RATE
PLAIN = {
    "clips": {"kind": "uniform", "frames": 6},
    "motion": {"kind": "luma", "rate": 10.0, "frames": 8, "size": 48},
}
CUT = {name: options | {"region": "motion"} for name, options in PLAIN.items()}


def pairs(frames):
    chosen = neighbours(TIMES, RATE, 6)
    return [(frames[a], frames[b]) for a, b in zip(chosen[::2], chosen[1::2], strict=True)]


def holds(region, thing, radius, pan, tolerance):
    """Check that what a picture of 16 to 9 shows of a disc stays within a region; all in shares, as the tolerance."""
    left, top, across, down = thing
    for time in TIMES[[0, -1]]:
        place = 0.75 * np.array([(top + down * time) * 16 / 9, left + (across - pan) * time])
        extent = 0.75 * radius * np.array([16 / 9, 1])
        first, last = np.clip(place - extent, 0, 1), np.clip(place + extent, 0, 1)
        begin, length = np.array([region.top, region.left]), np.array([region.height, region.width])
        assert (first >= begin - tolerance).all(), (region, first)
        assert (last <= begin + length + tolerance).all(), (region, last)
    return True


discs = st.tuples(
    st.floats(0.4, 0.9), st.floats(0.25, 0.5), st.floats(-0.15, 0.15).filter(lambda v: abs(v) > 0.06), st.just(0.0)
)


@settings(max_examples=12)
@given(discs, st.sampled_from([0.0, 0.05, 0.12]), st.integers(0, 9))
def test_what_moves_is_inside_also_where_the_camera_moves_and_the_picture_is_noisy(thing, pan, seed):
    frames = film(TIMES, 128, 72, things=(thing,), pan=pan, radius=0.1)
    noise = np.random.default_rng(seed).normal(0, 6, frames.shape)
    region = moving_region(pairs(np.clip(frames + noise, 0, 255).astype(np.uint8)), 1 / Motion.zoom)
    assert region is not None
    assert holds(region, thing, 0.1, pan, tolerance=0.08)
    assert min(region.height, region.width) >= 1 / Motion.zoom - 1e-9
    assert max(region.top + region.height, region.left + region.width) <= 1 + 1e-9


@pytest.mark.parametrize("pan", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("noise", [0, 8])
@pytest.mark.parametrize("flicker", [0.0, 0.3])
def test_nothing_is_found_where_only_camera_noise_and_light_change(pan, noise, flicker):
    frames = film(TIMES, 128, 72, things=(), pan=pan) * (1 - flicker * (np.sin(2 * TIMES * RATE) + 1))[:, None, None]
    noisy = frames + np.random.default_rng(0).normal(0, noise, frames.shape)
    assert moving_region(pairs(np.clip(noisy, 0, 255).astype(np.uint8)), 1 / Motion.zoom) is None


def test_a_cut_is_not_motion():
    cut = np.concatenate([film(TIMES[:9], 128, 72), film(TIMES[9:], 128, 72, things=())[:, ::-1, ::-1]])
    region = moving_region([*pairs(film(TIMES, 128, 72)), (cut[8], cut[9])], 1 / Motion.zoom)
    assert region is not None
    assert region.width < 0.5


@given(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=80), st.floats(1, 30), st.integers(1, 9))
def test_neighbours_are_distinct_frames_in_order(steps, rate, number):
    times = np.cumsum(steps).tolist()
    chosen = neighbours(times, rate, number)
    assert len(chosen) <= 2 * number
    assert bool(chosen) == (len(times) > 1)
    for first, second in zip(chosen[::2], chosen[1::2], strict=True):
        assert 0 <= first < second < len(times)


def test_neighbours_are_frames_that_the_view_of_motion_wants_too():
    times = [i / 30 for i in range(75)]
    assert set(neighbours(times, 10.0, 6)) <= set(steady(times, 10.0, 64))


# --- decoding ---------------------------------------------------------------------------------------------------------


def colourful(grey):
    return np.stack([grey, 255 - grey, grey // 2 + 40], axis=-1)


def luma(rgb):
    return rgb @ np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """Film a disc that moves on the left for 2 s, then stands still for 2 s, with a camera that stands."""
    moving = film(TIMES, WIDTH, HEIGHT, things=(THING,))
    still = np.repeat(moving[-1:], 20, axis=0)
    return written(tmp_path_factory.mktemp("region") / "a.mp4", colourful(np.concatenate([moving, still])))


def written(path, frames, turns=0):
    path.write_bytes(encode(frames, Take("h264", ".mp4", Fraction(RATE), len(frames)), bits_per_pixel=1.0, turns=turns))
    return Stream.of(probe_video(str(path), ProbeSettings()) | {"id": "a", "path": str(path)})


def test_views_show_the_region_in_the_size_that_the_file_has(stream):
    whole, cut = (decode_video(stream, build_views(views, 48)) for views in (PLAIN, CUT))
    region = Region(*cut.facts["clips_region"])
    assert cut.facts["motion_region"] == cut.facts["clips_region"]
    assert holds(region, THING, 0.12, 0.0, tolerance=0.03)
    assert region.width < 0.6
    assert cut.facts["warning"] == ""
    assert cut.facts["clips_frames"].tolist() == whole.facts["clips_frames"].tolist()
    place = region.of(HEIGHT, WIDTH)
    assert cut.facts["clips_box"][2:] == pytest.approx(
        48 * np.array([place.height, place.width]) / max(place.height, place.width), abs=0.5
    )
    # The region as the decoder gives it, without a loss by the stored size.
    import av
    import cv2

    with av.open(stream.path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    top, left, height, width = cut.facts["clips_box"]
    for number, kept in zip(cut.facts["clips_frames"], cut.arrays["clips"], strict=True):
        part = frames[number][place.top : place.top + place.height, place.left : place.left + place.width]
        best = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
        difference = np.abs(luma(kept[top : top + height, left : left + width]) - luma(best))
        assert difference.mean() < 2
        assert not kept[:, :left].any()


def test_a_segment_and_a_window_show_what_their_own_frames_show(stream):
    views = build_views(CUT, 48)
    alone = dict(decode_parts(stream, views, [Part("moves", 0.0, 2.0), Part("still", 2.0, 4.0)]))
    moves, still = alone[Part("moves", 0.0, 2.0)], alone[Part("still", 2.0, 4.0)]
    assert still.facts["clips_region"] is None
    assert still.facts["warning"] == "nothing moves: clips and motion show whole frames"
    for window, part in zip(decode_windows(stream, views, 2.0, 2.0), (moves, still), strict=True):
        assert window.decoded.facts["clips_region"] == part.facts["clips_region"]
        for name in views:
            assert np.array_equal(window.decoded.arrays[name], part.arrays[name])


def test_a_turned_video_shows_the_same_region(stream, tmp_path):
    import av

    with av.open(stream.path) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    upright, turned = (
        decode_video(written(tmp_path / f"{turns}.mp4", frames[:20], turns), build_views(CUT, 48)) for turns in (0, 1)
    )
    assert turned.facts["clips_region"] == pytest.approx(upright.facts["clips_region"], abs=0.05)


def test_a_view_without_motion_is_whole_and_says_so(tmp_path):
    still = written(tmp_path / "still.mp4", np.repeat(colourful(film([0.0], WIDTH, HEIGHT)), 12, axis=0))
    views = {"clips": CUT["clips"], "motion": PLAIN["motion"]}
    found, plain = (decode_video(still, build_views(each, 48)) for each in (views, PLAIN))
    assert found.facts["clips_region"] is None
    assert found.facts["warning"] == "nothing moves: clips show whole frames"
    assert found.facts["clips_box"] == plain.facts["clips_box"]
    assert np.abs(luma(found.arrays["clips"]) - luma(plain.arrays["clips"])).mean() < 2
    assert np.array_equal(found.arrays["motion"], plain.arrays["motion"])
    assert "motion_region" not in found.facts


def test_the_whole_picture_is_a_region():
    assert WHOLE.of(90, 160).width == 160


def test_a_region_that_is_none_of_those_is_a_mistake():
    with pytest.raises(ValueError, match=r"decode\.views\.clips\.region is 'faces': use one of none, motion, face"):
        build_views({"clips": PLAIN["clips"] | {"region": "faces"}}, 48)
    with pytest.raises(ValueError, match=r"decode\.views\.native\.region is 'motion': a crops view takes"):
        build_views({"native": {"kind": "crops", "frames": 2, "grid": 2, "size": 16, "region": "motion"}}, 48)


def test_workers_find_regions_where_opencv_has_run_threads_before(stream, tmp_path):
    """A worker that inherits OpenCV's threads hangs."""
    code = """
        import sys, cv2, numpy as np
        from clipfold.settings import DecodeSettings, ProbeSettings
        from clipfold.video.decode_shard import decode_shard
        from clipfold.video.probe_shard import probe_shard
        cv2.setNumThreads(2)
        cv2.GaussianBlur(np.zeros((2000, 2000), np.uint8), (0, 0), 5)
        videos, views = {"a": sys.argv[1]}, {"clips": {"kind": "uniform", "frames": 6, "region": "motion"}}
        probe_shard(videos, "metadata", ProbeSettings(), 1)
        decode_shard(videos, "metadata", {"clips": "clips"}, "index", DecodeSettings(size=48, views=views), 1)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), stream.path], cwd=tmp_path, check=True, timeout=30)
    (row,) = read_table(tmp_path / "index").to_pylist()
    decoded = decode_video(stream, build_views({"clips": CUT["clips"]}, 48))
    assert row["clips_region"] == decoded.facts["clips_region"]
    assert np.array_equal(np.load(tmp_path / "clips")[0], decoded.arrays["clips"])
