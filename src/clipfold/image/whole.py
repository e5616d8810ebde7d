"""Check that the bytes of an image are complete, without decoding it: decoders pass over damage in silence."""

import zlib
from collections.abc import Iterator

from clipfold.status import Status, Unusable

_PNG = b"\x89PNG\r\n\x1a\n"


def check_whole(data: bytes) -> None:
    """Check the sums of a PNG's chunks, and the ends of PNG, JPEG and WebP. Other formats say nothing of either.

    Raises:
        Unusable: `truncated` or `corrupt`.
    """
    if data.startswith(_PNG):
        last = b""
        for kind, body, checksum in _chunks(data):
            last = kind
            # ISO/IEC 15948, 5.3 and 5.4: the sum covers kind and body; a small first letter marks what is no picture.
            if kind[:1].isupper() and zlib.crc32(kind + body) != checksum:
                raise Unusable(Status.CORRUPT, f"the checksum of its part {kind.decode('latin-1')!a} is wrong")
        if last != b"IEND":
            raise Unusable(Status.TRUNCATED, "it ends before the end of the image")
    elif data.startswith(b"\xff\xd8"):
        scan = data.rfind(b"\xff\xda")  # never within the data of a scan (ITU-T T.81, B.1.1.5)
        if scan >= 0 and data.find(b"\xff\xd9", scan) < 0:
            raise Unusable(Status.TRUNCATED, "it ends before the end of the image")
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP" and 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise Unusable(Status.TRUNCATED, "it ends before the end of the image")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield kind, body and checksum of the chunks of a PNG, up to its end or the first that is cut."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if at + 12 + length > len(data):
            return
        kind = data[at + 4 : at + 8]
        yield kind, data[at + 8 : at + 8 + length], int.from_bytes(data[at + 8 + length : at + 12 + length])
        at += 12 + length
        if kind == b"IEND":
            return
