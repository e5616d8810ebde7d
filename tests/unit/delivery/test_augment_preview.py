"""Test the page that draws what augmentation does: by a real video and a real image, through the command."""

import base64
import re
from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers.moving import film
from typer.testing import CliRunner

from clipfold.cli import app
from clipfold.clips.augment import draw
from clipfold.clips.filmstrip import content, encode_filmstrip, spread_evenly
from clipfold.clips.operations import apply
from clipfold.clips.presets import resolve
from clipfold.demo.encode import Take, encode, encode_image
from clipfold.settings import ProbeSettings
from clipfold.video.decode import decode_video
from clipfold.video.probe import probe_video
from clipfold.video.stream import Stream
from clipfold.video.views import build_views


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("a b") / "<b>my clip.mp4"
    frames = np.repeat(film(np.arange(20) / 10, 160, 90)[..., None], 3, axis=-1)
    path.write_bytes(encode(frames, Take("h264", ".mp4", Fraction(10), len(frames)), bits_per_pixel=1.0))
    return path


def page_of(tmp_path, *arguments):
    output = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["augment-preview", *map(str, arguments), "-o", str(output)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    page = output.read_text()
    pictures = [base64.b64decode(data) for data in re.findall(r'src="data:image/webp;base64,([^"]+)"', page)]
    return page, pictures, re.findall(r"<h3>([\w ]+?)(?: <small>.*?)?</h3>", page)


def test_the_pictures_are_what_training_makes_of_the_clip(tmp_path, video):
    page, pictures, titles = page_of(tmp_path, video, "--preset", "video", "--without", "h264", "--seed", 3)
    operations = resolve("video", ["h264"], {})
    assert titles == ["as decoded", *operations, "augmented copy 0", "augmented copy 1"]
    stream = Stream.of(probe_video(str(video), ProbeSettings()) | {"id": "a", "path": str(video)})
    found = decode_video(stream, build_views({"clips": {"kind": "uniform", "frames": 16}}, 112))
    clip, box = found.arrays["clips"], found.facts["clips_box"]

    def drawn(changes):
        return encode_filmstrip(content(apply(clip, box, changes)[spread_evenly(16)], box))

    assert pictures[0] == drawn([])
    assert pictures[-1] == drawn(draw(operations, 3, str(video), 1))
    crop = draw({"crop": {**operations["crop"], "probability": 1}}, 3, str(video), 0)
    assert pictures[titles.index("crop")] == drawn(crop)
    assert f"crop: share {crop[0][1]['share']:.3g}" in page
    # Each operation is shown, whatever its probability.
    assert pictures[titles.index("flip")] == drawn([("flip", {})])
    assert pictures[titles.index("reverse")] == drawn([("reverse", {})])


def test_the_page_is_safe_and_needs_no_other_file(tmp_path, video):
    page, _, _ = page_of(tmp_path, video)
    assert "<b>my clip" not in page
    assert "&lt;b&gt;my clip.mp4" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert len(page) < 200_000


def test_an_image_has_one_frame(tmp_path):
    path = tmp_path / "a still.png"
    path.write_bytes(encode_image(np.full((90, 160, 3), 90, np.uint8), ".png"))
    _, pictures, titles = page_of(tmp_path, path, "--preset", "forensic")
    assert titles == ["as decoded", "reverse", "flip", "augmented copy 0", "augmented copy 1"]
    shown = cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (63, 112, 3)


def test_none_changes_nothing_and_says_so(tmp_path, video):
    page, pictures, _ = page_of(tmp_path, video, "--preset", "none")
    assert len(pictures) == 1
    assert "This preset changes nothing." in page


def test_what_cannot_be_used_is_named(tmp_path, video):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    for arguments, message in (
        ([broken], "broken.mp4': use another"),
        ([tmp_path / "nowhere.mp4"], "nowhere.mp4': name files that exist"),
        ([video, "--preset", "forensics"], "augment.preset is 'forensics'.*forensic"),
    ):
        with pytest.raises(ValueError, match=message):
            page_of(tmp_path, *arguments)
    assert not (tmp_path / "page.html").exists()


def test_a_page_replaces_no_video_and_no_folder(tmp_path, video):
    content = video.read_bytes()
    (tmp_path / "page.html").mkdir()
    for output in (video, tmp_path, tmp_path / "page.html"):
        with pytest.raises(ValueError, match=r"output is .*: use a name that ends in \.html"):
            CliRunner().invoke(app, ["augment-preview", str(video), "-o", str(output)], catch_exceptions=False)
    assert video.read_bytes() == content
