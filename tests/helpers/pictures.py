"""Make images, and folders and archives of them."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = {
    "png": {},
    "jpg": {"quality": 95},
    "webp": {"lossless": True},
    "bmp": {},
    "tif": {},
    "gif": {},
    "ppm": {},
    "avif": {"quality": 90},
}
_PILLOW = {"jpg": "jpeg", "tif": "tiff"}


def pixels(index=0, size=(48, 32)):
    """A picture without symmetry, that differs with its index: `uint8` (height, width, 3)."""
    y, x = np.mgrid[: size[1], : size[0]]
    shades = np.stack([x * 4 + index * 9, y * 6, x + y * 2 + index * 5], axis=-1) % 256
    shades[: size[1] // 4, : size[0] // 4] = (255, 0, index % 256)
    return shades.astype(np.uint8)


def encoded(picture, suffix="png", **options):
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, _PILLOW.get(suffix, suffix), **{**FORMATS[suffix], **options})
    return file.getvalue()


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes], method=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: Mapping[str, bytes], mode="w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
