"""Frames in memory are predicted as a file of the same pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.finished_run import CLIPS, EMBEDDINGS, ENSEMBLE, FEATURES, MODELS

pytestmark = pytest.mark.slow

TOLERANCE = 1e-6
"""Of a probability: the pictures are the same to the bit, as both are seen as yuv420p, which the file holds exactly."""


@pytest.fixture(scope="module")
def shown(videos):
    """Decoded frames of a video, uint8 (frames, height, width, 3)."""
    with av.open(str(next(path for name, path in videos.items() if name.endswith(".mp4")))) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][:40])


@pytest.fixture(scope="module")
def lossless(shown, tmp_path_factory):
    path = tmp_path_factory.mktemp("lossless") / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(20))
        stream.height, stream.width, stream.pix_fmt = *shown.shape[1:3], "yuv420p"
        for number, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 20)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("model", MODELS)
def test_frames_and_a_lossless_file_give_the_same(bundles, shown, lossless, model):
    (file,) = bundles[model].predict(lossless).to_dict("records")
    (frames,) = bundles[model].predict_frames(shown, 20.0).to_dict("records")
    assert file["status"] == frames["status"] == "ok"
    assert frames["label"] == file["label"]
    for name in ("p_real", "p_tampered", "spread", "input.brightness", "input.motion", "input.fps", "input.width"):
        assert frames[name] == pytest.approx(file[name], rel=0, abs=TOLERANCE), name
    assert frames["input.duration_s"] == pytest.approx(2.0)
    assert np.isnan([frames["input.audio"], frames["input.bits_per_pixel"]]).all()
    assert np.isfinite(frames["distance"])


def test_other_frames_give_another_answer(bundles, shown):
    one, other = (bundles[CLIPS].predict_frames(frames, 20.0).p_real[0] for frames in (shown, 255 - shown))
    assert abs(one - other) > TOLERANCE


@pytest.mark.parametrize("model", [FEATURES, ENSEMBLE])
def test_the_rate_matters_to_motion(bundles, shown, model):
    one, other = (bundles[model].predict_frames(shown, fps).p_real[0] for fps in (20.0, 5.0))
    assert abs(one - other) > TOLERANCE


@pytest.mark.parametrize(
    "frames",
    [
        None,
        [[1, 2]],
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((4, 8, 8), np.uint8),
        np.zeros((4, 3, 8, 8), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((4, 0, 8, 3), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
    ],
)
def test_wrong_arrays_are_refused(bundles, frames):
    with pytest.raises(ValueError, match=r"frames is .*: use uint8 of"):
        bundles[CLIPS].predict_frames(frames, 25.0)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9])
def test_wrong_rates_are_refused(bundles, fps):
    with pytest.raises(ValueError, match="fps is"):
        bundles[CLIPS].predict_frames(np.zeros((4, 8, 8, 3), np.uint8), fps)


@pytest.mark.parametrize("model", [FEATURES, EMBEDDINGS])
@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (2, 1, 1, 3), (3, 7, 5, 3), (2, 2, 300, 3)])
def test_odd_shapes_are_predicted(bundles, model, shape):
    frames = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    table = bundles[model].predict_frames(frames, 25.0)
    assert table.p_real[0] + table.p_tampered[0] == pytest.approx(1)


def test_frames_that_are_a_view_of_others_are_taken(bundles, shown):
    """As cameras give them: turned, mirrored, every second one."""
    some = shown[::2, ::-1, :, :]
    one, other = (bundles[CLIPS].predict_frames(frames, 10.0).p_real[0] for frames in (some, some.copy()))
    assert one == other
