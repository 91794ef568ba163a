"""How far two images are apart. All take uint8 arrays (height, width, 3) of the same shape."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sdviz.events import Pixels

_SIGMA, _RADIUS = 1.5, 5  # the 11x11 Gaussian window of Wang et al.


def largest_difference(a: Pixels, b: Pixels) -> int:
    """The largest difference of a channel's value, 0..255."""
    return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max(initial=0))


def rms(a: Pixels, b: Pixels) -> float:
    """Root mean square difference, 0..1."""
    difference = (a.astype(np.float32) - b.astype(np.float32)) / 255
    return float(np.sqrt(np.mean(difference**2)))


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for equal images."""
    error = rms(a, b)
    return math.inf if error == 0 else -20 * math.log10(error)


def ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity of the luma, -1..1, 1 for equal images.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
    Similarity" (2004), equation 13, with its constants and its window; borders are left out.
    """
    x, y = _luma(a), _luma(b)
    if min(x.shape) <= 2 * _RADIUS:
        return 1.0 if rms(a, b) == 0 else float("nan")  # smaller than the window
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    over = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    under = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(np.mean(over / under))


def _luma(pixels: Pixels) -> NDArray[np.float64]:
    """Rec. 601, as in the paper's own code."""
    weights = np.array([0.299, 0.587, 0.114])
    return np.asarray(pixels.astype(np.float64) @ weights)


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolution with the Gaussian window, where it fits wholly."""
    at = np.arange(-_RADIUS, _RADIUS + 1)
    window = np.exp(-(at**2) / (2 * _SIGMA**2))
    window /= window.sum()
    for axis in (0, 1):
        views = np.lib.stride_tricks.sliding_window_view(plane, len(window), axis=axis)
        plane = views @ window
    return plane
