"""Pictures in the forms in which the viewer asks for them: small ones, and many in one answer."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sdviz.archive import png
from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError

_THUMB_SIDE = 384  # pixels of the longer side; more is seen only in the inspector
_NEARLY = 1.3  # times that side: scaling it down would save little
_KEPT_BYTES = 64 << 20
MOST_PAIRS = 256


@dataclass(frozen=True, eq=False)
class Original:
    """A picture as the archive has it, or as it was scaled before; `key` is its content's."""

    cell: int
    step: int  # 0: the final image
    key: str
    data: bytes
    is_ready: bool  # to be sent: nothing is to be scaled


class Thumbs:
    """Pictures made small once each, from any thread; the latest 64 MB are kept in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, archive: Archive, index: int) -> bytes:
        """The thumb of the final image of cell `index`. Raises ArchiveError where it has none."""
        return self.made(self.original(archive, index, 0, small=True))

    def original(self, archive: Archive, index: int, step: int, *, small: bool) -> Original:
        """What the thumb of a frame, or of the final image (step 0), is made of; a frame is as it
        was stored unless `small`. Raises ArchiveError where there is no such picture.
        """
        if step:
            data = archive.frame_bytes(index, step)
            if not small or _is_small(data):
                return Original(index, step, "", data, is_ready=True)
            key = hashlib.blake2b(data, digest_size=16).hexdigest()
            return self._known(index, step, key) or Original(index, step, key, data, False)
        record = archive.cell(index)
        key = record.sha256 or record.key
        known = self._known(index, 0, key)
        if known is not None:
            return known
        try:
            return Original(index, 0, key, archive.image_path(index).read_bytes(), False)
        except OSError as error:
            raise ArchiveError(f"the image of cell {index} cannot be read: {error}") from error

    def made(self, original: Original) -> bytes:
        """The picture as it is sent. Raises ArchiveError for bytes that are no picture."""
        if original.is_ready:
            return original.data
        small = _scaled(original.data)
        with self._lock:
            self._kept[original.key] = small
            self._bytes += len(small)
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return small

    def _known(self, cell: int, step: int, key: str) -> Original | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return Original(cell, step, key, self._kept[key], is_ready=True)


def _is_small(data: bytes) -> bool:
    """By the header of a lossy WebP, as frames are (RFC 9649, section 2.5), since Pillow takes ten
    times as long to read it; anything else is sent as it is.
    """
    if data[:4] != b"RIFF" or data[12:16] != b"VP8 ":
        return True
    sides = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return max(sides) <= _NEARLY * _THUMB_SIDE


def _scaled(data: bytes) -> bytes:
    image = png.decode(data, "a picture")
    image.thumbnail((_THUMB_SIDE, _THUMB_SIDE), reducing_gap=2.0)
    content = io.BytesIO()
    image.save(content, "WEBP", quality=88, method=0)
    return content.getvalue()


def originals(
    archive: Archive, pairs: Sequence[tuple[int, int]], thumbs: Thumbs, *, small: bool
) -> list[Original]:
    """The pictures of (cell, step) pairs, step 0 for the final image; those that are not there, or
    damaged, are left out: the others are still worth having.
    """
    found = []
    for cell, step in pairs:
        try:
            found.append(thumbs.original(archive, cell, step, small=small))
        except ArchiveError:
            continue
    return found


def packed(pictures: Sequence[tuple[Original, bytes]]) -> bytes:
    """The answer of docs/viewer-data.md, `urls.pack`."""
    return b"".join(
        struct.pack("<3I", one.cell, one.step, len(data)) + data for one, data in pictures
    )


def read_pairs(text: str) -> list[tuple[int, int]]:
    """Pairs out of "0.12,1.8". Raises ValueError where the text is something else."""
    pairs = [tuple(map(int, pair.split("."))) for pair in text.split(",") if pair]
    if len(pairs) > MOST_PAIRS or any(
        len(p) != 2 or not 0 <= min(p) <= max(p) < 2**32 for p in pairs
    ):
        raise ValueError(text)
    return [(pair[0], pair[1]) for pair in pairs]
