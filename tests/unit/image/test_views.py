"""Test that the same frames give the same views, whether they are a video file, a folder, an archive or a part."""

import av
import numpy as np
import pytest
from helpers.pictures import encoded, pixels, write_folder, write_tar, write_zip

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import open_array, read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

VIEWS = {
    "clips": {"kind": "uniform", "frames": 4},
    "motion": {"kind": "luma", "rate": 10.0, "frames": 16, "size": 16},
    "native": {"kind": "crops", "frames": 2, "grid": 2, "size": 16},
}
FRAMES = [pixels(index) for index in range(30)]


def write_video(path, frames, codec="png", pixel_format="rgb24", fps=25):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, fps)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], pixel_format
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def pngs(frames):
    return {f"frame{index}.png": encoded(frame) for index, frame in enumerate(frames)}


def decoded(paths, folder, modality="video", **options):
    folder.mkdir()
    paths = {name: str(path) for name, path in paths.items()}
    probe_shard(paths, folder / "metadata.parquet", ProbeSettings(), 1, modality=modality, **options)
    arrays, index = {name: folder / f"{name}.npy" for name in VIEWS}, folder / "index.parquet"
    decode_shard(paths, folder / "metadata.parquet", arrays, index, DecodeSettings(size=32, views=VIEWS), 1)
    rows = {row["id"]: row for row in read_table(index).to_pylist()}
    return rows, {name: open_array(path) for name, path in arrays.items()}


def test_folders_and_archives_have_the_views_of_a_lossless_file_to_the_bit(tmp_path):
    paths = {
        "file": write_video(tmp_path / "a.mov", FRAMES),
        "folder": write_folder(tmp_path / "a", pngs(FRAMES)),
        "zip": write_zip(tmp_path / "a.zip", pngs(FRAMES)),
        "tar": write_tar(tmp_path / "a.tar", pngs(FRAMES)),
    }
    write_tar(tmp_path / "b.tar", {"a.mov": (tmp_path / "a.mov").read_bytes()})
    rows, views = decoded(paths | {"member": tmp_path / "b.tar/a.mov"}, tmp_path / "out")
    assert {row["status"] for row in rows.values()} == {"ok"}
    for row in rows.values():
        for name, array in views.items():
            np.testing.assert_array_equal(array[row["row"]], array[rows["file"]["row"]])
            assert row[f"{name}_frames"] == rows["file"][f"{name}_frames"]
            assert row[f"{name}_times"] == pytest.approx(rows["file"][f"{name}_times"])
            assert row[f"{name}_box"] == rows["file"][f"{name}_box"]


@pytest.mark.parametrize(("codec", "pixel_format"), [("ffv1", "bgr0"), ("libx264rgb", "rgb24"), ("ffv1", "gbrp")])
def test_other_lossless_files_differ_by_rounding_only(tmp_path, codec, pixel_format):
    frames = [np.ascontiguousarray(np.kron(frame[::4, ::4], np.ones((4, 4, 1), np.uint8))) for frame in FRAMES]
    try:
        file = write_video(tmp_path / "a.mkv", frames, codec, pixel_format)
    except (av.FFmpegError, ValueError):
        pytest.skip(f"this FFmpeg cannot write {codec} {pixel_format}")
    rows, views = decoded({"file": file, "folder": write_folder(tmp_path / "a", pngs(frames))}, tmp_path / "out")
    lossy = 12 if codec == "libx264rgb" else 4  # swscale rounds planes otherwise; x264 is not lossless by default
    for array in views.values():
        one, other = (array[rows[name]["row"]].astype(int) for name in ("file", "folder"))
        assert np.abs(one - other).mean() < lossy


def test_only_wanted_images_are_decoded_and_a_broken_one_is_named(tmp_path):
    files = {f"frame{index}.gif": encoded(pixels(index, size=(96, 80)), "gif") for index in range(30)}
    wanted = decoded({"a": write_folder(tmp_path / "a", files)}, tmp_path / "out")[0]["a"]
    every = {number for name in VIEWS for number in wanted[f"{name}_frames"]}
    assert wanted["decoded"] == len(every) < 30
    spare, needed = min({*range(30)} - every), max(every)

    def spoiled(number):
        return files | {f"frame{number}.gif": files[f"frame{number}.gif"][:-200]}  # no checksum tells: only decoding

    paths = {name: write_folder(tmp_path / name, spoiled(n)) for name, n in (("spare", spare), ("needed", needed))}
    rows, _ = decoded(paths, tmp_path / "broken")
    assert rows["spare"]["status"] == "ok"
    assert (rows["needed"]["status"], rows["needed"]["row"]) == ("corrupt", None)
    assert f"frame{needed}.gif" in rows["needed"]["reason"]


def test_other_files_are_a_warning_in_the_index(tmp_path):
    files = pngs(FRAMES[:4]) | {"notes.txt": b"", "more.csv": b""}
    rows, _ = decoded({"a": write_folder(tmp_path / "a", files)}, tmp_path / "out")
    assert rows["a"]["warning"] == "2 other files, such as 'more.csv'"


def test_the_rate_of_a_folder_sets_the_times(tmp_path):
    folder = write_folder(tmp_path / "a", pngs(FRAMES))
    for fps, steps in ((25.0, 12), (10.0, 16), (5.0, 16)):
        rows, _ = decoded({"a": folder}, tmp_path / f"out{fps}", rates={"a": fps})
        assert len(rows["a"]["motion_frames"]) == steps
        assert rows["a"]["clips_times"] == pytest.approx([number / fps for number in rows["a"]["clips_frames"]])


def test_crops_of_varying_size_are_letterboxed_each_and_share_one_box(tmp_path):
    wide, tall, small = (np.full((h, w, 3), 200, np.uint8) for w, h in ((64, 32), (32, 64), (12, 12)))
    folder = write_folder(tmp_path / "a", pngs([wide, wide, tall, small]))
    rows, views = decoded({"a": folder, "wide": write_folder(tmp_path / "b", pngs([wide, wide]))}, tmp_path / "out")
    row, clip = rows["a"], views["clips"][rows["a"]["row"]]
    shown = [frame.any(axis=2) for frame in clip]
    assert [int(each.sum()) for each in shown] == [32 * 16, 32 * 16, 16 * 32, 32 * 32]
    assert row["clips_box"] == [0, 0, 32, 32]  # around all of them
    assert row["native_box"] == [0, 0, 12, 12]  # what all of them fill
    assert rows["wide"]["clips_box"] == [8, 0, 16, 32]


def test_an_image_is_a_clip_of_one_frame(tmp_path):
    paths = {name: tmp_path / name for name in ("a.png", "b.jpg", "c.mp4", "d.png", "e")}
    paths["a.png"].write_bytes(encoded(pixels()))
    paths["b.jpg"].write_bytes(encoded(pixels(), "jpg"))
    paths["c.mp4"].write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1")
    paths["d.png"].write_bytes(encoded(pixels())[:100])
    write_folder(paths["e"], pngs(FRAMES[:3]))
    rows, views = decoded(paths, tmp_path / "out", "image")
    statuses = {name: row["status"] for name, row in rows.items()}
    assert statuses == {"a.png": "ok", "b.jpg": "ok", "c.mp4": "unreadable", "d.png": "truncated", "e": "unreadable"}
    assert rows["a.png"]["clips_frames"] == [0, 0, 0, 0]
    folder = decoded({"a": write_folder(tmp_path / "one", {"a.png": encoded(pixels())})}, tmp_path / "folder")
    del folder
    assert views["clips"][rows["a.png"]["row"]][0].any()
