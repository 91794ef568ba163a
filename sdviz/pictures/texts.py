"""The texts in a picture: a PNG's text chunks, and the EXIF of JPEG, WebP and PNG.

Read without decoding a pixel, and within bounds: pictures come from strangers. Sources: the PNG
specification, third edition (tEXt, zTXt, iTXt, eXIf); Exif 2.32 (UserComment, 4.6.5).
"""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from sdviz.errors import ArchiveError
from sdviz.pictures.infotext import clean
from sdviz.regular_files import open_regular

USER_COMMENT = "UserComment"
_MOST_BYTES = 16 << 20  # of all texts of a picture together; ComfyUI's graphs have megabytes
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EXIF, _COMMENT = 0x8769, 0x9286  # tags: the Exif IFD, and UserComment in it
_TAGS = {0x010E: "Description", 0x0131: "Software", 0x010F: "Make", 0x0110: "Model"}


def read_texts(path: Path) -> dict[str, str]:
    """The texts of a picture by name: a PNG's chunks by their keywords, EXIF's by its own names.

    ComfyUI writes "prompt:{...}" into EXIF tags meant for the camera: such a text is named
    "prompt". Raises ArchiveError where the file is no picture, or has more text than any picture.
    """
    try:
        with open_regular(path, follow=True) as stream:
            is_png = stream.read(len(_SIGNATURE)) == _SIGNATURE
            texts = _png(stream) if is_png else _others(stream)
    except ArchiveError as error:
        raise ArchiveError(f"{path}: {error}") from None
    except Exception as error:  # whatever a reader of damaged files raises
        raise ArchiveError(f"{path} is damaged: {error}") from error
    return {clean(key): clean(text) for key, text in texts.items()}


def _png(stream: BinaryIO) -> dict[str, str]:
    texts: dict[str, str] = {}
    left = _MOST_BYTES
    for kind, data in _chunks(stream):
        if kind == b"eXIf":
            texts = {**exif_texts(data), **texts}
            continue
        key, _, rest = data.partition(b"\0")
        text = _chunk_text(kind, rest, left)
        if text is not None:
            left = _bounded(left - len(text))
            texts.setdefault(key.decode("latin-1"), _decoded(text))
    return texts


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The chunks that may have text, behind the pixels as well; up to where the file breaks off."""
    left = _MOST_BYTES
    while len(header := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            left = _bounded(left - length)
            yield kind, stream.read(length)
            stream.seek(4, 1)  # its checksum: a text with a wrong letter is still read
        elif kind == b"IEND":
            return
        else:
            stream.seek(length + 4, 1)


def _bounded(left: int) -> int:
    if left < 0:
        raise ArchiveError(f"has more than {_MOST_BYTES >> 20} MB of text; not read")
    return left


def _chunk_text(kind: bytes, rest: bytes, most: int) -> bytes | None:
    """The bytes of a text chunk behind its keyword; None where it cannot be read."""
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:], most)
    is_compressed = rest[:1] == b"\1"
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]  # behind language and translation
    return _inflated(text, most) if is_compressed else text


def _inflated(data: bytes, most: int) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, most + 1)
    except zlib.error:
        return None


def _decoded(text: bytes) -> str:
    """tEXt is Latin-1 by the book, and UTF-8 in what many programs write."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _others(stream: BinaryIO) -> dict[str, str]:
    stream.seek(0)
    with _quietly(), Image.open(stream) as image:
        texts = {str(k): v for k, v in image.info.items() if isinstance(v, str)}
        exif = image.info.get("exif")
        comment = image.info.get("comment")  # JPEG's COM
    if isinstance(comment, bytes):
        texts["comment"] = _decoded(comment)
    if isinstance(exif, bytes):
        _bounded(_MOST_BYTES - len(exif))
        texts.update(exif_texts(exif))
    return texts


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without Pillow's warnings of damaged files, which are no news to the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def exif_texts(data: bytes) -> dict[str, str]:
    """The texts of an EXIF block; {} where it is damaged."""
    exif = Image.Exif()
    with contextlib.suppress(Exception), _quietly():  # whatever damage makes Pillow raise
        exif.load(data)
        texts = {}
        for tag, name in _TAGS.items():
            text = _plain(exif.get(tag))
            part, colon, rest = text.partition(":")
            if colon and part in ("prompt", "workflow") and rest.lstrip().startswith("{"):
                texts[part] = rest
            elif text:
                texts[name] = text
        comment = user_comment(exif.get_ifd(_EXIF).get(_COMMENT), is_big=exif.endian == ">")
        return {**texts, **({USER_COMMENT: comment} if comment else {})}
    return {}


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return _decoded(value).strip("\0 ")
    text = value if isinstance(value, str) else ""
    with contextlib.suppress(UnicodeEncodeError):  # Pillow reads UTF-8 as Latin-1 here
        text = _decoded(text.encode("latin-1"))
    return text.strip("\0 ")


def user_comment(value: Any, *, is_big: bool = True) -> str:
    """The text of an EXIF UserComment: eight bytes name its code, UTF-16 in either order among
    them.

    `is_big` is the byte order of the block; UTF-16 follows it by the book, and often does not.
    """
    if not isinstance(value, bytes):
        return _plain(value)
    code, data = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        return _utf_16(data, is_big=is_big).strip("\0 ")
    if code.startswith(b"JIS"):
        return data.decode("iso2022_jp", "replace").strip("\0 ")
    if code.startswith((b"ASCII", b"\0\0\0\0")):
        return _decoded(data).strip("\0 ")
    return _decoded(value).strip("\0 ")  # without a code


def _utf_16(data: bytes, *, is_big: bool) -> str:
    if data.startswith((b"\xfe\xff", b"\xff\xfe")):
        return data.decode("utf-16", "replace")
    if len(data) % 2 or b"Steps:" in data:  # UTF-8, whatever its code says
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode("utf-8")
    # The half of each pair that is 0 is the high one, in any text that has signs of ASCII.
    high, low = data[::2].count(0), data[1::2].count(0)
    if high != low:
        is_big = high > low
    return data.decode("utf-16-be" if is_big else "utf-16-le", "replace")
