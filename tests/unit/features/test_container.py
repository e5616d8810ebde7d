import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfold.features.container import features

PROBED = {
    "width": 640,
    "height": 360,
    "fps": 25.0,
    "duration": 4.0,
    "frames": 100,
    "bitrate": 115_200,
    "size_bytes": 57_600,
    "has_audio": True,
    "rotation": 90,
    "vfr": False,
    "codec": "hevc",
    "encoder": "a",
}
CODECS = ["h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg"]


def test_numbers_of_a_container():
    """The encoder's bucket is the CRC-32 of the letter a, 0xE8B7BE43, modulo 8."""
    expected = {
        "width": 640,
        "height": 360,
        "fps": 25,
        "duration": 4,
        "frames": 100,
        "bitrate": 115_200,
        "size_bytes": 57_600,
        "has_audio": 1,
        "rotation": 90,
        "vfr": 0,
        "aspect": 16 / 9,
        "bits_per_pixel": 0.02,
        **{f"codec_{name}": int(name == "hevc") for name in CODECS},
        **{f"encoder_{bucket}": int(bucket == 3) for bucket in range(8)},
    }
    assert features(PROBED) == pytest.approx(expected)
    assert all(type(value) is float for value in features(PROBED).values())


@given(st.text())
def test_every_encoder_falls_into_one_bucket_and_no_encoder_into_none(encoder):
    values = features(PROBED | {"encoder": encoder})
    assert sum(value for name, value in values.items() if name.startswith("encoder_")) == bool(encoder)
    assert values == features(PROBED | {"encoder": encoder})


@pytest.mark.parametrize("encoder", ["", None])
@pytest.mark.parametrize("codec", ["prores", ""])
def test_unknown_codecs_and_encoders_are_zeros(codec, encoder):
    values = features(PROBED | {"codec": codec, "encoder": encoder})
    assert {value for name, value in values.items() if name.startswith(("codec_", "encoder_"))} == {0.0}


@pytest.mark.parametrize(
    ("unknown", "depends"),
    [
        ("fps", []),
        ("duration", []),
        ("bitrate", []),
        ("frames", ["bits_per_pixel"]),
        ("width", ["aspect", "bits_per_pixel"]),
    ],
)
def test_what_the_container_does_not_say_is_nan_and_only_that(unknown, depends):
    values = features(PROBED | {unknown: None})
    assert {name for name, value in values.items() if math.isnan(value)} == {unknown, *depends}


@given(st.integers(1, 4), st.integers(1, 9))
def test_bits_per_pixel_are_the_same_at_another_size_of_the_same_quality(times, longer):
    larger = PROBED | {
        "width": 640 * times,
        "height": 360 * times,
        "frames": 100 * longer,
        "size_bytes": 57_600 * times**2 * longer,
    }
    assert features(larger)["bits_per_pixel"] == pytest.approx(0.02)
    assert features(larger)["aspect"] == pytest.approx(16 / 9)
