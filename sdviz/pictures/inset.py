"""Large pictures contain a small version of themselves, so that a sheet of many opens at once.

The inset is in the picture's own file, where decoders skip it. Whatever copies, checks, renames or
removes the picture does the same to its inset. Pictures of older archives have none.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from sdviz.regular_files import open_regular

SIDE = 384  # pixels of an inset's longer side; more is seen only in the inspector
NEARLY = 1.3  # times that side: making it smaller would save little
PNG_CHUNK = b"smAL"  # ancillary, private, and not to be copied by who changes the picture
_WEBP_CHUNK = b"SMAL"
_QUALITY = 80  # of WebP; in a photograph an eighth of the bytes of a frame of 1024 pixels
_LARGEST = 1 << 20  # bytes; ours have some tens of thousands
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_large(size: tuple[int, int]) -> bool:
    """Whether a picture of (width, height) pixels has a small form of its own."""
    return max(size) > NEARLY * SIDE


def shrunk(image: Image.Image) -> bytes:
    """The picture as a lossy WebP of at most SIDE pixels a side."""
    small = image.copy()
    # The gap lets whole pixels be averaged first, which takes half the time of filtering them all.
    small.thumbnail((SIDE, SIDE), reducing_gap=1.0)
    content = io.BytesIO()
    small.save(content, "WEBP", quality=_QUALITY, method=0)
    return content.getvalue()


def with_inset(webp: bytes, size: tuple[int, int], inset: bytes) -> bytes:
    """A plain WebP of (width, height) pixels in the extended format, with one chunk more at its end
    (RFC 9649, sections 2.7 and 2.7.1.6).
    """
    width, height = (side - 1 for side in size)
    canvas = bytes(4) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBP" + _chunk(b"VP8X", canvas) + webp[12:] + _chunk(_WEBP_CHUNK, inset)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) by the header of a WebP of ours, since Pillow takes ten times as long to read
    it; None for anything else.
    """
    if data[:4] != b"RIFF" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if data[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def of_webp(data: bytes) -> bytes | None:
    """The inset of a frame; None where it has none, or the file is damaged there."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == _WEBP_CHUNK:
            inset = data[at + 8 : at + 8 + length]
            return inset if len(inset) == length <= _LARGEST else None
        at += 8 + length + length % 2
    return None


def of_png(path: Path) -> bytes | None:
    """The inset of a final image, without reading the picture itself; None where it has none, or
    the file is damaged there. Raises OSError where it cannot be read.
    """
    with open_regular(path) as file:
        for name, length in _png_chunks(file):
            if name != PNG_CHUNK:
                continue
            if length > _LARGEST:
                return None
            inset, checksum = file.read(length), file.read(4)
            return inset if checksum == struct.pack(">I", zlib.crc32(name + inset)) else None
    return None


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk before the pixels; the file is where its content begins."""
    if file.read(8) != _PNG_SIGNATURE:
        return
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            return
        here = file.tell()
        yield name, length
        file.seek(here + length + 4)
