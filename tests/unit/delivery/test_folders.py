"""Test that a model says the same of a video, whether it is a file, a folder or an archive of its frames."""

import numpy as np
import pytest
from helpers.pictures import encoded, pixels, write_folder, write_zip

from clipfold.delivery.sources import find_videos

av = pytest.importorskip("av")


def test_predictions_of_a_lossless_file_and_of_its_frames_are_equal(bundles, tmp_path):
    frames = [pixels(index, size=(96, 64)) for index in range(40)]
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("png", 25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    files = {f"{index}.png": encoded(frame) for index, frame in enumerate(frames)}
    paths = [tmp_path / "a.mov", write_folder(tmp_path / "frames", files), write_zip(tmp_path / "a.zip", files)]
    for bundle in bundles.values():
        table = bundle.predict(paths)
        assert (table.status == "ok").all()
        scores = table[[f"p_{name}" for name in bundle.classes]].to_numpy()
        np.testing.assert_allclose(scores, scores[:1].repeat(3, axis=0), atol=1e-6)


def test_folders_hold_videos_or_else_are_videos(tmp_path):
    write_folder(tmp_path / "all/one", {"0.png": b"", "1.png": b""})
    write_folder(tmp_path / "all/two", {"0.jpg": b"", "notes.txt": b""})
    assert [*find_videos([str(tmp_path / "all")], []).paths] == [str(tmp_path / "all/one"), str(tmp_path / "all/two")]
    assert len(find_videos([str(tmp_path / "all")], [], "image").paths) == 3
    (tmp_path / "all/clip.mp4").touch()
    assert [*find_videos([str(tmp_path / "all")], []).paths] == [str(tmp_path / "all/clip.mp4")]
