"""Measures of a frame's pixels: how far from the final image, how burnt, how colourful."""

from __future__ import annotations

import numpy as np

from sdviz.archive.png import decode
from sdviz.errors import ArchiveError
from sdviz.events import Pixels


def frame_measures(webp: bytes, final: Pixels | None) -> dict[str, float]:
    """distance, clipped and saturation of one stored frame, each 0..1; nothing where it is damaged.

    `distance` is the root mean square difference to the final image. `clipped` is the share of
    channel values at 0 or 255. `saturation` is the mean of HSV's saturation, (max - min) / max.
    """
    try:
        pixels = np.asarray(decode(webp, "a frame"), dtype=np.int16)
    except (ArchiveError, TypeError):
        return {}
    high = pixels.max(axis=2)
    spread = high - pixels.min(axis=2)
    measures = {
        # WebP moves values by one or two, so "at the end" is taken as the last three values.
        "clipped": float(np.mean((pixels <= 2) | (pixels >= 253))),
        "saturation": float(np.mean(spread / np.maximum(high, 1))),
    }
    if final is not None and final.shape == pixels.shape:
        difference = (pixels - final.astype(np.int16)).astype(np.float32) / 255
        measures["distance"] = float(np.sqrt(np.mean(difference**2)))
    return {name: round(value, 5) for name, value in measures.items()}
