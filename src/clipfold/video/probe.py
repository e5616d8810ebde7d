"""Probe a video: read its packets, decode its first frame only, check that it is usable."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import av
import pyarrow as pa
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipfold.image.probe import add_frames_facts, add_image_facts
from clipfold.image.source import kind_of, read_file, size_of, source_digest, stamp_of
from clipfold.status import Status
from clipfold.video.codecs import USUAL_CODECS
from clipfold.video.container import Unusable, check_file, describe, open_video
from clipfold.video.geometry import displayed, quarter_turns
from clipfold.video.packets import Packets, check_size

if TYPE_CHECKING:  # their values are job params already; the code that checks them must not re-run the job
    from clipfold.settings import ProbeSettings

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "file": pa.string(),  # its name, if the manifest names segments of it; the rows of a file follow each other
        "start": pa.float64(),  # of a segment, in seconds from the file's first frame; null for the begin of the file
        "end": pa.float64(),  # excluded; null for the end of the file
        "status": pa.string(),
        "reason": pa.string(),
        "frames": pa.int32(),  # packets that show a frame, in the segment
        "first_frame": pa.int32(),  # index in the file of a segment's first frame
        "frames_source": pa.string(),  # `packets`, and how the container's own count compares
        "duration": pa.float64(),  # seconds, from the first frame's start to the last one's end
        "fps": pa.float64(),
        "vfr": pa.bool_(),  # variable frame rate
        "width": pa.int32(),  # square pixels, as displayed
        "height": pa.int32(),
        "coded_width": pa.int32(),
        "coded_height": pa.int32(),
        "rotation": pa.int16(),  # degrees counter-clockwise
        "sample_aspect": pa.string(),
        "codec": pa.string(),
        "profile": pa.string(),
        "pix_fmt": pa.string(),
        "bit_depth": pa.int8(),
        "color_range": pa.string(),
        "color_space": pa.string(),
        "interlaced": pa.bool_(),
        "container": pa.string(),
        "bitrate": pa.float64(),  # bits per second of the whole file
        "has_audio": pa.bool_(),
        "encoder": pa.string(),
        "size_bytes": pa.int64(),  # of a segment: its share, by frames
        "file_bytes": pa.int64(),
        "stamp": pa.string(),  # changes when the file is written to, see `clipfold.image.source.stamp_of`
        "digest": pa.string(),  # BLAKE2b of the file's bytes, or of the names and bytes of a folder's images
        "content": pa.string(),  # what duplicates share: the digest, and the frames of a segment; null if not known
        "time_base": pa.string(),
        # Of the whole file, in the first of its rows only:
        "pts": pa.list_(pa.int64()),  # timestamp of each packet in file order; null if not shown, or if any is unknown
        "keyframes": pa.list_(pa.int32()),  # positions in `pts`
    }
)

# Names from the standard (ITU-T H.273, tables 4 and E.1) by FFmpeg's numbers; "" is unspecified.
_COLOR_RANGE = {1: "limited", 2: "full"}
_COLOR_SPACE = {
    0: "rgb",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
    10: "bt2020c",
}


def probe_video(
    path: str, settings: ProbeSettings, modality: str = "video", fps: float | None = None
) -> dict[str, Any]:
    """Read the packets and the first frame of a video, or the headers of its images.

    Args:
        path: a video file, also as a member of a tar file; a folder or an archive of frames; for the modality `image`,
            an image.
        settings: limits that a usable video must keep.
        modality: `video` or `image`.
        fps: frames per second of a folder or an archive of frames; by default those of the settings.

    Returns:
        The columns of `SCHEMA` from `status` on, except those that could not be determined.
    """
    facts: dict[str, Any] = {"status": Status.OK, "reason": ""}
    try:
        if stamp := stamp_of(path):
            facts |= {"stamp": stamp, "size_bytes": size_of(path)}
            facts["digest"] = source_digest(path)
        if not os.path.isdir(path) or modality == "image":
            check_file(path)
        if modality == "image":
            add_image_facts(facts, read_file(path), settings)
        elif kind_of(path) == "frames":
            add_frames_facts(facts, path, settings, fps or settings.fps)
        else:
            _add_file_facts(facts, path, settings)
    except Unusable as unusable:
        facts |= {"status": unusable.status, "reason": unusable.reason}
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        facts |= {"status": Status.UNREADABLE, "reason": describe(error)}
    return facts


def _add_file_facts(facts: dict[str, Any], path: str, settings: ProbeSettings) -> None:
    """Add what a video file says, up to what makes it unusable."""
    with open_video(path, settings.max_pixels) as (container, stream):
        facts |= _stream_facts(container, stream)
        check_size(facts["coded_width"], facts["coded_height"], settings)
        _check_codec(facts["codec"], stream, settings)
        packets = Packets(path, container, stream, settings)
        facts |= packets.facts()
        facts |= _display_facts(packets.first_frame, stream)
        check_size(facts["coded_width"], facts["coded_height"], settings)
        packets.check(settings)


def _check_codec(name: str, stream: VideoStream, settings: ProbeSettings) -> None:
    if settings.codecs == "usual" and stream.codec_context.codec and name not in USUAL_CODECS:
        reason = f"codec {name!r} is not one of the usual ones; `probe.codecs: all` decodes it"
        raise Unusable(Status.UNSUPPORTED_CODEC, reason)


def _stream_facts(container: InputContainer, stream: VideoStream) -> dict[str, Any]:
    context = stream.codec_context
    encoder = stream.metadata.get("encoder") or container.metadata.get("encoder") or ""
    return {
        "codec": context.name if not context.codec else context.codec.canonical_name,
        "profile": str(stream.profile or ""),
        "coded_width": context.width,
        "coded_height": context.height,
        "container": container.format.name,
        "bitrate": float(container.bit_rate or 0),
        "has_audio": bool(container.streams.audio),
        "encoder": encoder,
        "time_base": str(stream.time_base),
    }


def _display_facts(frame: VideoFrame, stream: VideoStream) -> dict[str, Any]:
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    rotation = 90 * quarter_turns(frame.rotation)
    width, height = displayed(frame.width, frame.height, aspect, rotation)
    return {
        "width": width,
        "height": height,
        "coded_width": frame.width,
        "coded_height": frame.height,
        "rotation": rotation,
        "sample_aspect": str(aspect or ""),
        "pix_fmt": frame.format.name,
        "bit_depth": max(component.bits for component in frame.format.components),
        "color_range": _COLOR_RANGE.get(frame.color_range, ""),
        "color_space": _COLOR_SPACE.get(frame.colorspace, ""),
        "interlaced": frame.interlaced_frame,
    }
