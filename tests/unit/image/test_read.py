"""Test that an image of any usual kind is read as people see it, and any other gets its status."""

import io
import struct
import zlib

import numpy as np
import pytest
from helpers.pictures import FORMATS, encoded, pixels
from PIL import Image

from clipfold.image.read import check_image, read_image
from clipfold.status import Unusable

MANY = 10**8


def status_of(data, max_pixels=MANY):
    with pytest.raises(Unusable) as error:
        read_image(data, max_pixels)
    assert error.value.reason.isprintable()
    return error.value.status


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_usual_formats_are_read(suffix):
    still = read_image(encoded(pixels(), suffix), MANY)
    assert (still.facts["width"], still.facts["height"]) == (48, 32)
    difference = np.abs(still.pixels.astype(int) - pixels())
    assert np.median(difference) <= {"png": 0, "webp": 0, "bmp": 0, "tif": 0, "ppm": 0}.get(suffix, 8)
    assert still.warning == ""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_the_orientation_of_a_camera_is_undone(suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    upright = pixels()
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverses of EXIF's, in Pillow's numbers
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(turn[orientation]))
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    still = read_image(encoded(stored, suffix, exif=exif, **options), MANY)
    assert still.pixels.shape == upright.shape
    assert np.abs(still.pixels.astype(int) - upright).mean() < 3


def test_sixteen_bits_keep_the_higher_eight():
    deep = (pixels()[:, :, 0].astype(np.uint16) << 8) + 200
    for suffix in ("png", "tif"):
        still = read_image(encoded(Image.fromarray(deep), suffix), MANY)
        np.testing.assert_array_equal(still.pixels, np.repeat(pixels()[:, :, :1], 3, axis=2))
        assert still.facts["bit_depth"] == 16


def test_palette_grey_black_and_white_and_cmyk_become_rgb():
    image = Image.fromarray(pixels())
    for mode, suffix in (("P", "png"), ("L", "png"), ("1", "png"), ("CMYK", "jpg"), ("CMYK", "tif")):
        shown = read_image(encoded(image.convert(mode), suffix), MANY).pixels
        assert shown.shape == (32, 48, 3)
        assert np.abs(shown - np.asarray(image.convert(mode).convert("RGB")).astype(int)).mean() < 8


def test_what_is_transparent_is_black():
    image = Image.fromarray(pixels()).convert("RGBA")
    image.putalpha(Image.fromarray(np.tile(np.repeat([0, 128, 255], 16).astype(np.uint8), (32, 1))))
    shown = read_image(encoded(image), MANY).pixels
    assert not shown[:, :16].any()
    np.testing.assert_allclose(shown[:, 16:32], pixels()[:, 16:32] * (128 / 255), atol=1)
    np.testing.assert_array_equal(shown[:, 32:], pixels()[:, 32:])
    palette = Image.fromarray(pixels()).quantize(4)
    assert not read_image(encoded(palette, "png", transparency=palette.getpixel((20, 20))), MANY).pixels[20, 20].any()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_of_an_animation_the_first_picture_is_used_and_the_warning_says_so(suffix):
    more = [Image.fromarray(pixels(index)) for index in (5, 9)]
    still = read_image(encoded(pixels(), suffix, save_all=True, append_images=more), MANY)
    assert np.median(np.abs(still.pixels.astype(int) - pixels())) <= 8
    assert still.warning == "several pictures: the first is used"


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_image_is_typed(suffix, share):
    data = encoded(pixels(size=(200, 160)), suffix)
    assert status_of(data[: int(len(data) * share)]) in ("truncated", "corrupt", "unreadable")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_png_that_pillow_would_decode_to_something_else_is_corrupt(share):
    data = encoded(pixels(29, size=(96, 80)))
    kept = int(len(data) * share)
    assert status_of(data[:kept] + bytes(len(data) - kept)) in ("corrupt", "truncated")


def test_the_limit_of_pixels_is_checked_by_the_header():
    data = encoded(pixels(size=(60, 50)))
    assert status_of(data, 2999) == "too_large"
    assert read_image(data, 3000)
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = bytes.fromhex("89504e470d0a1a0a") + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    )
    assert status_of(bomb, 8192 * 8192) == "too_large"
    with pytest.raises(Unusable, match="too_large"):
        check_image(bomb, 8192 * 8192)


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", "empty", "0 bytes"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unreadable", "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unreadable", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unreadable", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "unreadable", "a video"),
        (b"version https://git-lfs.github.com/spec/v1\n", "unreadable", "git lfs pull"),
        (b"PK\x03\x04 and more", "unreadable", "archive"),
        (b"some text", "unreadable", "not an image"),
        (b"/* XPM */ static char * x[] = {", "unreadable", "not an image"),
    ],
)
def test_what_is_no_image_says_what_it_is(data, status, words):
    with pytest.raises(Unusable, match=words) as error:
        read_image(data, MANY)
    assert error.value.status == status


def test_numbers_without_a_known_range_are_refused_with_the_remedy():
    for kind in (np.float32, np.int32):
        file = io.BytesIO()
        Image.fromarray(pixels()[:, :, 0].astype(kind)).save(file, "tiff")
        assert status_of(file.getvalue()) == "unsupported_codec"


def test_damaged_metadata_costs_no_picture():
    exif = Image.Exif()
    exif[305] = "a program"
    data = encoded(pixels(), "jpg", exif=exif)
    assert read_image(data, MANY).facts["encoder"] == "a program"
    at = data.index(b"Exif\0\0") + 8
    assert read_image(data[:at] + b"\xff" * 12 + data[at + 12 :], MANY).pixels.shape == (32, 48, 3)
