"""The invisible watermark of Stable Diffusion XL: 48 fixed bits in a picture's blue.

The method is "dwtDct" of ShieldMnt's package invisible-watermark, whose decoder
reads them from a picture's 8-bit values. It needs no OpenCV: of the Haar transform only the coarse
half of one channel changes, and its inverse adds half of a coefficient's change to each of four
pixels. Three faults are not copied, so that more can be read from a better picture: the package
exchanges the horizontal and the vertical details; it lets a coefficient become smaller than the
next one, which is then read instead; and it counts the channel of fractional values, which
diffusers gives it, from another zero than its decoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdviz.models.addons.scoring import Pixels

Values = NDArray[np.floating[Any]]
BITS = tuple(int(bit) for bit in f"{0b101100111110110010010000011110111011000110011110:b}")
_STEP = 36.0  # of the quantisation: a 0 in the middle of a step's lower half, a 1 of its upper
_LEAD = 1  # of the largest before the second: it is to be the largest when the bits are read
_BLOCK = 4  # coefficients a side, of which the largest carries a bit; 8 pixels
_U = 0.492 * np.array([-0.299, -0.587, 1 - 0.114])  # the channel, of red, green and blue
_BACK = np.array([0, -0.395, 2.032])  # what U adds to red, green and blue
_ZERO = 128  # of U in 8 bits


def put(pixels: Pixels) -> Pixels:
    """The picture (H, W, 3) with the bits, which come again every 48 blocks."""
    blocks = _blocks(pixels)
    largest = _largest(blocks)
    value = np.take_along_axis(blocks, largest, axis=2)
    second = np.partition(blocks[:, :, 1:], -2, axis=2)[:, :, -2, None]
    place = 0.25 + 0.5 * np.resize(BITS, value.shape)  # within a step
    least = np.ceil((second + _LEAD) / _STEP - place)
    marked = (np.maximum(np.round(value / _STEP - place), least) + place) * _STEP
    changes = np.zeros_like(blocks)
    np.put_along_axis(changes, largest, marked - value, axis=2)
    change = _laid_out(changes).repeat(2, axis=0).repeat(2, axis=1) / 2
    image = pixels.astype(np.float64)
    image[: change.shape[0], : change.shape[1]] += change[:, :, None] * _BACK
    whole: Pixels = image.round().clip(0, 255).astype(np.uint8)
    return whole


def read(pixels: Pixels) -> tuple[int, ...]:
    """The 48 bits that the blocks of a picture (H, W, 3) vote for, as that package reads them.

    It takes 48 blocks of 8x8 pixels at least. Of a picture without the mark half of them are right.
    """
    blocks = _blocks(pixels)
    value = np.take_along_axis(blocks, _largest(blocks), axis=2)
    votes = (value % _STEP > _STEP / 2).ravel()
    return tuple(int(votes[at :: len(BITS)].mean() >= 0.5) for at in range(len(BITS)))


def legible(pixels: Pixels) -> int:
    """How many of the 48 bits are in a picture as they should be; 24 or so without a mark."""
    return sum(found == own for found, own in zip(read(pixels), BITS, strict=True))


def _blocks(pixels: Pixels) -> Values:
    """(rows, columns, 16): the coarse Haar coefficients of U, block by block; none is negative."""
    rows, columns = (side // (2 * _BLOCK) for side in pixels.shape[:2])
    channel: Values = pixels[: rows * 2 * _BLOCK, : columns * 2 * _BLOCK] @ _U + _ZERO
    coarse = channel.reshape(rows * _BLOCK, 2, columns * _BLOCK, 2).sum(axis=(1, 3)) / 2
    blocks: Values = coarse.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2)
    return blocks.reshape(rows, columns, _BLOCK**2)


def _laid_out(blocks: Values) -> Values:
    """(rows * 4, columns * 4) of (rows, columns, 16)."""
    rows, columns, _ = blocks.shape
    image = blocks.reshape(rows, columns, _BLOCK, _BLOCK).swapaxes(1, 2)
    return image.reshape(rows * _BLOCK, columns * _BLOCK)


def _largest(blocks: Values) -> NDArray[np.intp]:
    """(rows, columns, 1): where each block's largest coefficient is, the first one left out."""
    places: NDArray[np.intp] = blocks[:, :, 1:].argmax(axis=2)[:, :, None] + 1
    return places
