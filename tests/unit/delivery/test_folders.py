"""Test that a model says the same of a video, whether it is a file, a folder or an archive of its frames."""

import numpy as np
import pytest
from helpers.pictures import encoded, pixels, write_folder, write_zip

from clipfold.delivery.predict import predict_videos
from clipfold.delivery.sources import find_videos

av = pytest.importorskip("av")


def write_lossless(path, frames, rate):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def test_predictions_of_a_lossless_file_and_of_its_frames_are_equal(bundles, tmp_path):
    frames = [pixels(index, size=(96, 64)) for index in range(40)]
    write_lossless(tmp_path / "a.mov", frames, 25)
    files = {f"{index}.png": encoded(frame) for index, frame in enumerate(frames)}
    paths = [tmp_path / "a.mov", write_folder(tmp_path / "frames", files), write_zip(tmp_path / "a.zip", files)]
    for bundle in bundles.values():
        table = bundle.predict(paths)
        assert (table.status == "ok").all()
        scores = table[[f"p_{name}" for name in bundle.classes]].to_numpy()
        np.testing.assert_allclose(scores, scores[:1].repeat(3, axis=0), atol=1e-6)


def test_predictions_of_files_and_of_segments_of_a_file_or_a_folder_are_equal(bundles, tmp_path):
    clips = [[pixels(20 * clip + index, size=(96, 64)) for index in range(20)] for clip in range(2)]
    rows = ["path,start,end,fps"]
    for number, clip in enumerate(clips):
        write_lossless(tmp_path / f"{number}.mov", clip, 10)
        rows.append(f"{number}.mov,,,")
    both = [frame for clip in clips for frame in clip]
    write_lossless(tmp_path / "both.mov", both, 10)
    write_folder(tmp_path / "both", {f"{index}.png": encoded(frame) for index, frame in enumerate(both)})
    rows += [f"{name},{start},{start + 2},{fps}" for name, fps in (("both.mov", ""), ("both", 10)) for start in (0, 2)]
    table = tmp_path / "videos.csv"
    table.write_text("\n".join(rows))
    found = find_videos([str(table)], [])
    for bundle in bundles.values():
        predicted = predict_videos(bundle, found.paths, 1, stated=found.stated)
        assert (predicted.status == "ok").all()
        assert set(predicted["input.fps"]) == {10.0}
        scores = predicted[[f"p_{name}" for name in bundle.classes]].to_numpy()
        np.testing.assert_allclose(scores, np.tile(scores[:2], (3, 1)), atol=1e-6)


def test_folders_hold_videos_or_else_are_videos(tmp_path):
    write_folder(tmp_path / "all/one", {"0.png": b"", "1.png": b""})
    write_folder(tmp_path / "all/two", {"0.jpg": b"", "notes.txt": b""})
    assert [*find_videos([str(tmp_path / "all")], []).paths] == [str(tmp_path / "all/one"), str(tmp_path / "all/two")]
    assert len(find_videos([str(tmp_path / "all")], [], "image").paths) == 3
    (tmp_path / "all/clip.mp4").touch()
    assert [*find_videos([str(tmp_path / "all")], []).paths] == [str(tmp_path / "all/clip.mp4")]
