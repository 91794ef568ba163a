"""Pictures in the forms in which the viewer asks for them: small final images, and many frames in
one answer.
"""

from __future__ import annotations

import io
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError

_THUMB_SIDE = 384  # pixels of the longer side; more is seen only in the inspector
_KEPT_BYTES = 64 << 20
MOST_PAIRS = 256


class Thumbs:
    """Final images as small WebP, made once each; the latest 64 MB are kept in memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, archive: Archive, index: int) -> bytes:
        """The thumb of cell `index`. Raises ArchiveError where it has no final image."""
        record = archive.cell(index)
        key = record.sha256 or record.key
        if key not in self._kept:
            self._keep(key, _thumb(archive.image(index)))
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: str, content: bytes) -> None:
        self._kept[key] = content
        self._bytes += len(content)
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= len(self._kept.popitem(last=False)[1])


def _thumb(image: Image.Image) -> bytes:
    image.thumbnail((_THUMB_SIDE, _THUMB_SIDE))
    content = io.BytesIO()
    image.save(content, "WEBP", quality=88, method=0)
    return content.getvalue()


def pack(archive: Archive, pairs: Sequence[tuple[int, int]], thumbs: Thumbs) -> bytes:
    """The frames of (cell, step) pairs, step 0 for the thumb: docs/viewer-data.md, `urls.pack`."""
    return b"".join(_packed(archive, pairs, thumbs))


def _packed(archive: Archive, pairs: Iterable[tuple[int, int]], thumbs: Thumbs) -> Iterator[bytes]:
    for cell, step in pairs:
        try:
            picture = archive.frame_bytes(cell, step) if step else thumbs.get(archive, cell)
        except ArchiveError:
            continue  # not there, or damaged: the others are still worth having
        yield struct.pack("<3I", cell, step, len(picture))
        yield picture


def read_pairs(text: str) -> list[tuple[int, int]]:
    """Pairs out of "0.12,1.8". Raises ValueError where the text is something else."""
    pairs = [tuple(map(int, pair.split("."))) for pair in text.split(",") if pair]
    if len(pairs) > MOST_PAIRS or any(
        len(p) != 2 or not 0 <= min(p) <= max(p) < 2**32 for p in pairs
    ):
        raise ValueError(text)
    return [(pair[0], pair[1]) for pair in pairs]
