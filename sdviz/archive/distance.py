"""How far two images are apart, as archives tell it; sdviz.metrics has the measures.

All take uint8 arrays (height, width, 3), RGB, of the same shape.
"""

from __future__ import annotations

import numpy as np

from sdviz import metrics
from sdviz.events import Pixels


def largest_difference(a: Pixels, b: Pixels) -> int:
    """The largest difference of a channel's value, 0..255."""
    return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max(initial=0))


def rms(a: Pixels, b: Pixels) -> float:
    """Root mean square difference, 0..1."""
    return metrics.rms(a, b) / 255


def ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity, -1..1; of images smaller than its window 1 where they are equal, and
    NaN where they are not.
    """
    if metrics.fits_window(a):
        return metrics.ssim(a, b)
    return 1.0 if np.array_equal(a, b) else float("nan")
