"""Tell what the FFmpeg libraries of this machine can decode."""

import av

WANTED = ("h264", "hevc", "vp9", "libdav1d", "mpeg4", "prores", "mjpeg")
"""Decoders of today's cameras, phones, web and editing."""


def missing_decoders() -> list[str]:
    """List the wanted decoders that are missing."""
    return [name for name in WANTED if name not in av.codecs_available]


def library_version() -> str:
    """Return the version of libavcodec."""
    return ".".join(map(str, av.library_versions["libavcodec"]))
