"""Measures of a frame's pixels: how far from the final image, how burnt, how colourful."""

from __future__ import annotations

import numpy as np

from sdviz.archive.png import decode
from sdviz.errors import ArchiveError
from sdviz.events import Pixels


def frame_measures(
    webp: bytes, final: Pixels | None, reference: Pixels | None = None
) -> dict[str, float]:
    """distance, reference, clipped and saturation of one stored frame, each 0..1; nothing where it
    is damaged.

    `distance` is the root mean square difference to the final image, `reference` that to the
    converged one (sdviz.reference); each is left out without its image. `clipped` is the share of
    channel values at 0 or 255. `saturation` is the mean of HSV's saturation, (max - min) / max.
    """
    try:
        pixels = np.asarray(decode(webp, "a frame"))
    except (ArchiveError, TypeError):
        return {}
    red, green, blue = (pixels[..., channel] for channel in range(3))
    # Plane by plane: over a last axis of three, numpy takes ten times as long.
    high = np.maximum(np.maximum(red, green), blue)
    spread = high - np.minimum(np.minimum(red, green), blue)
    share = np.divide(spread, np.maximum(high, 1), dtype=np.float32)
    # WebP moves values by one or two, so "at the end" is taken as the last three values: in a byte,
    # which begins again after 255, those are six in a row.
    ends = np.count_nonzero(pixels + np.uint8(3) < 6)
    measures = {"clipped": float(ends / pixels.size), "saturation": float(share.mean())}
    for name, other in (("distance", final), ("reference", reference)):
        if other is not None and other.shape == pixels.shape:
            difference = np.subtract(pixels, other, dtype=np.float32).ravel()
            measures[name] = float(np.sqrt(np.dot(difference, difference) / pixels.size)) / 255
    return {name: round(value, 5) for name, value in measures.items()}
