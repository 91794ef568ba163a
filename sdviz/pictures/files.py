"""Images as files: PNG with its recipe in it, and frames as WebP."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.errors import ArchiveError
from sdviz.pictures import inset
from sdviz.pictures.infotext import clean
from sdviz.pictures.pixels import Pixels
from sdviz.regular_files import open_regular

PARAMETERS = "parameters"  # the text chunk that stable-diffusion-webui reads
CHUNK = "sdviz"  # ours, JSON
_WEBP_QUALITY = 88  # artefacts of the frame itself stay visible; a 128x128 frame takes about 2 kB
_LONGEST_SIDE = 16384  # pixels; a larger picture is not one of ours
_MOST_PIXELS = 64 << 20  # below the number from which Pillow warns


def encode_png(pixels: Pixels, texts: Mapping[str, str]) -> bytes:
    """A final image, with text chunks and, where it is large, its inset before the pixels."""
    image = Image.fromarray(pixels)
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, clean(text))
    if inset.is_large(image.size):
        info.add(inset.PNG_CHUNK, inset.shrunk(image))
    buffer = io.BytesIO()
    # Level 4 takes half the time of the default and a few per cent more room.
    image.save(buffer, "PNG", pnginfo=info, compress_level=4)
    return buffer.getvalue()


def encode_webp(pixels: Pixels) -> bytes:
    """A frame, with its inset where it is large."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_WEBP_QUALITY, method=0)
    webp = buffer.getvalue()
    if not inset.is_large(image.size):
        return webp
    return inset.with_inset(webp, image.size, inset.shrunk(image))


def decode(data: bytes | Path, what: str) -> Image.Image:
    """An RGB image from a file or its bytes; raises ArchiveError naming `what` where it is damaged.

    The size is checked before a pixel is decoded: a few bytes can claim to be terapixels.
    """
    try:
        file = io.BytesIO(data) if isinstance(data, bytes) else open_regular(data)
        with file, Image.open(file) as image:
            if max(image.size) > _LONGEST_SIDE or image.width * image.height > _MOST_PIXELS:
                raise ArchiveError(f"{what} claims {image.width}x{image.height} pixels; not read")
            return image.convert("RGB")
    except ArchiveError:
        raise
    except Exception as error:  # a damaged or hostile file makes Pillow raise anything
        raise ArchiveError(f"{what} is damaged: {error}") from error


def pixel_hash(pixels: Pixels) -> str:
    """A name for the pixels themselves, which outlives another PNG compression."""
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height} RGB ".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def record_json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True, default=str)
