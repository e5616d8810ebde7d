"""Read one image from its bytes, which may be hostile, as RGB.

Pillow gets the bytes and a list of formats, so that no file is opened, no program started (as for PostScript), and no
rarely tested decoder run.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL.Image import Transpose

from clipfold.image.whole import check_whole
from clipfold.status import Status, Unusable
from clipfold.storage.files import Array

# Pillow would load every plugin there is to find a format that none of these has registered.
_PLUGINS = (
    *(AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin),
    *(PpmImagePlugin, TiffImagePlugin, WebPImagePlugin),
)
_USUAL = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF")
_FORMATS = tuple(name for name in _USUAL if name in Image.OPEN)  # some builds lack one

# How files begin that are no images of these formats, and what to say of them.
_OTHERS = {
    rb"....ftyp(heic|heix|hevc|mif1|msf1)": "HEIC, which cannot be read: convert it to JPEG or PNG",
    rb"%!PS|\xc5\xd0\xd3\xc6": "PostScript, which is a program: convert it to PNG",
    rb"%PDF-": "a PDF document, not an image",
    rb"(\xef\xbb\xbf)?\s*<(\?xml|svg|!doctype|html)": "SVG, XML or a web page, not an image",
    rb"version https://git-lfs\.github\.com/spec/": "a Git LFS pointer, not the image: `git lfs pull` fetches it",
    rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ": "a video, not an image",
    rb"PK\x03\x04|\x1f\x8b\x08": "an archive, not an image: unpack it",
}

# EXIF 2.32, 4.6.4, tag 274: how to turn the stored picture upright, and its rotation counter-clockwise in degrees.
_ORIENTATION = 274
_UPRIGHT = {
    2: (Transpose.FLIP_LEFT_RIGHT, 0),
    3: (Transpose.ROTATE_180, 180),
    4: (Transpose.FLIP_TOP_BOTTOM, 0),
    5: (Transpose.TRANSPOSE, 90),
    6: (Transpose.ROTATE_270, -90),
    7: (Transpose.TRANSVERSE, -90),
    8: (Transpose.ROTATE_90, 90),
}
_SOFTWARE = 305


@dataclass(frozen=True, slots=True)
class Still:
    """An image.

    Args:
        pixels: RGB, `uint8` (height, width, 3), upright, over black where it is transparent.
        facts: columns of the probe's table.
        warning: what was left out, "" if nothing.
    """

    pixels: Array
    facts: dict[str, Any]
    warning: str


def read_image(data: bytes, max_pixels: int) -> Still:
    """Read an image.

    Of 16 bits, the higher 8 are kept; CMYK is converted by formula, without colour profiles; of an animation or of
    several pages, the first picture is taken.

    Args:
        data: the file's bytes: PNG, JPEG, WebP, BMP, TIFF, GIF, PPM or AVIF.
        max_pixels: most pixels, by the header: larger images are refused before they are decoded.

    Raises:
        Unusable: `empty`, `unreadable`, `too_large`, `truncated`, `corrupt`, or `unsupported_codec` for pixels of more
            than 16 bits.
    """
    with _opened(data, max_pixels) as image:
        stored, mode = image.size, image.mode
        encoder = _encoder(image)
        warning = "several pictures: the first is used" if _animated(image) else ""
        with _decoding():
            image.load()
        turn, rotation = _UPRIGHT.get(_orientation(image), (None, 0))  # Pillow has turned a TIFF itself by now
        with _decoding():
            pixels = _rgb(image if turn is None else image.transpose(turn))
    facts = {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "coded_width": stored[0],
        "coded_height": stored[1],
        "rotation": rotation,
        "sample_aspect": "",
        "codec": str(image.format).lower(),
        "profile": "",
        "pix_fmt": mode.lower(),
        "bit_depth": _bits(data, mode),
        "color_range": "full",
        "color_space": "rgb",
        "interlaced": False,
        "encoder": encoder,
    }
    return Still(pixels, facts, warning)


def check_image(data: bytes, max_pixels: int) -> None:
    """Read the header of an image; check its size, and that it is complete.

    Raises:
        Unusable: as `read_image`.
    """
    with _opened(data, max_pixels):
        pass


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    if not data:
        raise Unusable(Status.EMPTY, "0 bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of many pixels, which are counted below
        image = _open(data)
        width, height = image.size
        if width * height > max_pixels:
            reason = f"{width}x{height} pixels, the limit is {max_pixels} in total (probe.max_pixels)"
            raise Unusable(Status.TOO_LARGE, reason)
        check_whole(data)
        with image:
            yield image


def _open(data: bytes) -> Image.Image:
    for pattern, reason in _OTHERS.items():
        if re.match(pattern, data[:100], re.I | re.S) and data[8:12] != b"avif":
            raise Unusable(Status.UNREADABLE, reason)
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise Unusable(Status.TOO_LARGE, str(error)) from None
    except UnidentifiedImageError:
        raise Unusable(Status.UNREADABLE, f"not an image, or damaged: none of {', '.join(_FORMATS)}") from None
    except MemoryError:
        raise
    except Exception as error:
        raise Unusable(Status.UNREADABLE, f"the image's header is damaged: {_said(error)}") from None


@contextmanager
def _decoding() -> Iterator[None]:
    """Turn whatever Pillow raises on damaged data, which is almost anything, into a status."""
    try:
        yield
    except (MemoryError, Unusable):
        raise
    except Exception as error:
        cut = re.search("truncated|unexpected end|not enough|premature", str(error), re.I)
        status = Status.TRUNCATED if cut or isinstance(error, EOFError) else Status.CORRUPT
        raise Unusable(status, f"the image cannot be decoded: {_said(error)}") from None


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return text if text.isprintable() and text else type(error).__name__


def _rgb(image: Image.Image) -> Array:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        grey = (np.asarray(image).astype(np.int32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        reason = f"pixels of 32 bits ({image.mode}): their range is not known; convert them to 8 or 16 bits"
        raise Unusable(Status.UNSUPPORTED_CODEC, reason)
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        over_black = (pixels[:, :, :3].astype(np.uint16) * pixels[:, :, 3:] + 127) // 255
        return np.asarray(over_black, np.uint8)
    return np.asarray(image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    return int(_metadata(image, _ORIENTATION, 1))


def _encoder(image: Image.Image) -> str:
    """Return the program or camera software that the image names."""
    found = _metadata(image, _SOFTWARE, "") or image.info.get("Software", "")
    text = found if isinstance(found, str) else ""
    return "".join(letter for letter in text if letter.isprintable())[:100].strip()


def _metadata(image: Image.Image, tag: int, default: Any) -> Any:
    try:
        found = image.getexif().get(tag, default)
    except Exception:  # damaged metadata: the picture may be whole all the same
        return default
    return found if isinstance(found, type(default)) else default


def _animated(image: Image.Image) -> bool:
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # what follows the first picture is damaged
        return True


def _bits(data: bytes, mode: str) -> int:
    if data.startswith(b"\x89PNG"):
        return data[24]
    return 16 if mode.startswith("I") else 1 if mode == "1" else 8
