"""Pictures in the forms in which the viewer asks for them: small ones, and many in one answer."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError
from sdviz.pictures import files, inset
from sdviz.regular_files import read_regular

_KEPT_BYTES = 64 << 20
_MOST_PACKED = 64 << 20  # bytes of one answer; the rest can be asked for again
_LARGEST = 256 << 20  # bytes of a picture's file
MOST_PAIRS = 256


@dataclass(frozen=True, eq=False)
class Original:
    """A stored picture, its inset, or its cached thumbnail; `key` identifies its content."""

    cell: int
    step: int  # 0: the final image
    key: str
    data: bytes
    is_ready: bool  # needs no scaling before it is sent


class Thumbs:
    """Thumbnails: the insets of large pictures, or scaled ones for older archives. Thread-safe; the
    latest 64 MB of scaled ones stay in memory.
    """

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
            ready = data if not small or _is_small(data) else inset.of_webp(data)
            if ready is not None:
                return Original(index, step, "", ready, is_ready=True)
            key = hashlib.blake2b(data, digest_size=16).hexdigest()
            return self._cached(index, step, key) or Original(index, step, key, data, False)
        record = archive.cell(index)
        key = record.sha256 or record.key
        cached = self._cached(index, 0, key)
        if cached is not None:
            return cached
        path = archive.image_path(index)
        try:
            ready = inset.of_png(path)
            if ready is not None:
                return Original(index, 0, key, ready, is_ready=True)
            return Original(index, 0, key, plain_bytes(path), is_ready=False)
        except OSError as error:
            raise ArchiveError(f"the image of cell {index} cannot be read: {error}") from error

    def made(self, original: Original) -> bytes:
        """The picture as it is sent. Raises ArchiveError for bytes that are no picture."""
        if original.is_ready:
            return original.data
        small = inset.shrunk(files.decode(original.data, "a picture"))
        with self._lock:
            self._kept[original.key] = small
            self._bytes += len(small)
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return small

    def _cached(self, cell: int, step: int, key: str) -> Original | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return Original(cell, step, key, self._kept[key], is_ready=True)


def plain_bytes(path: Path) -> bytes:
    """What is in a picture's file. Raises ArchiveError for what is no file: a FIFO would hold its
    reader for ever.
    """
    try:
        return read_regular(path, _LARGEST)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error


def _is_small(frame: bytes) -> bool:
    """Also what is no WebP of ours: it is sent as it is."""
    size = inset.webp_size(frame)
    return size is None or not inset.is_large(size)


def originals(
    archive: Archive, pairs: Sequence[tuple[int, int]], thumbs: Thumbs, *, small: bool
) -> list[Original]:
    """The pictures of (cell, step) pairs, step 0 for the final image; those that are not there, or
    damaged, are left out: the others are still worth having.
    """
    pictures: list[Original] = []
    left = _MOST_PACKED
    for cell, step in pairs:
        try:
            original = thumbs.original(archive, cell, step, small=small)
        except ArchiveError:
            continue
        left -= len(original.data)
        if left < 0:
            break
        pictures.append(original)
    return pictures


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
