"""Images that cells start from: read with care, and brought to a cell's size. No torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sdviz.errors import ConfigError
from sdviz.pictures.files import pixel_hash
from sdviz.regular_files import open_regular

MOST_PIXELS = 64_000_000  # a file that claims more is refused before a pixel is decoded
RESIZE = ("stretch", "crop", "fill")


def read(path: Path, what: str) -> Image.Image:
    """The image as RGB, upright by its EXIF orientation; what is transparent becomes white.

    Raises ConfigError that begins with `what` (`init=photo.png`) where it cannot be used.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_regular(path, follow=True) as file, Image.open(file) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ConfigError(
                        f"{what}: {image.width}x{image.height} pixels, more than "
                        f"{MOST_PIXELS:,}; make it smaller",
                        key=what,
                    )
                return _rgb(ImageOps.exif_transpose(image), what)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ConfigError(
            f"{what}: more than {MOST_PIXELS:,} pixels; make it smaller", key=what
        ) from None
    except FileNotFoundError:
        raise ConfigError(f"{what}: there is no file {path}", key=what) from None
    except ConfigError:
        raise
    except Exception as error:  # a damaged or hostile file makes Pillow raise anything
        raise ConfigError(f"{what}: {path} cannot be read as an image: {error}", key=what) from None


def _rgb(image: Image.Image, what: str) -> Image.Image:
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    if image.mode.startswith("I"):  # 16 bits a pixel, which PIL would cut off at 255
        image = Image.fromarray((np.asarray(image).clip(0, 65_535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ConfigError(
            f"{what}: its pixels are floating-point numbers; save it with 8 bits per colour",
            key=what,
        )
    return image.convert("RGB")


def identity(image: Image.Image) -> str:
    """64 hex digits of the pixels; equal to the archive's `pixels` for an image of a cell."""
    return pixel_hash(np.asarray(image))


def resized(image: Image.Image, width: int, height: int, mode: str) -> Image.Image:
    """`image` at `width` x `height`: stretched, cropped at the middle, or with its borders drawn
    out to fill what is missing; as stable-diffusion-webui and diffusers do, by Lanczos.
    """
    assert mode in RESIZE, mode
    if mode == "stretch" or image.width * height == image.height * width:
        return image.resize((width, height), Image.Resampling.LANCZOS)
    is_wider = width * image.height < height * image.width  # than it is to be
    fits_width = is_wider if mode == "fill" else not is_wider
    if fits_width:
        size = width, max(1, image.height * width // image.width)
    else:
        size = max(1, image.width * height // image.height), height
    scaled = image.resize(size, Image.Resampling.LANCZOS)
    left, top = width // 2 - size[0] // 2, height // 2 - size[1] // 2
    out = Image.new("RGB", (width, height))
    out.paste(scaled, (left, top))
    if mode == "fill":
        _draw_out(out, scaled, left, top)
    return out


def _draw_out(out: Image.Image, scaled: Image.Image, left: int, top: int) -> None:
    """Fills `out` around `scaled`, which lies at (left, top), with its outermost pixels."""
    width, height = scaled.size
    # An empty box at an edge: PIL resamples what is nearest to it.
    if top > 0:
        for edge, at, room in ((0, 0, top), (height, top + height, out.height - top - height)):
            out.paste(scaled.resize((width, room), box=(0, edge, width, edge)), (0, at))
    if left > 0:
        for edge, at, room in ((0, 0, left), (width, left + width, out.width - left - width)):
            out.paste(scaled.resize((room, height), box=(edge, 0, edge, height)), (at, 0))
