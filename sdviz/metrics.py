"""Measures of pictures and of the distance between two; uint8 arrays (H, W, 3), RGB, 0..255."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_PEAK = 255.0
# Wang et al. 2004, section III-C: an 11x11 Gaussian window of standard deviation 1.5 pixels, and
# the constants that keep the quotients finite.
_SIGMA = 1.5
_RADIUS = 5
_C1 = (0.01 * _PEAK) ** 2
_C2 = (0.03 * _PEAK) ** 2
# ITU-R BT.601, section 2.5.1: luma out of red, green and blue.
_LUMA = np.array([0.299, 0.587, 0.114])


def rms(a: Pixels, b: Pixels) -> float:
    """Root mean square of the difference, 0 (equal) .. 255, over all pixels and channels."""
    return float(np.sqrt(np.square(_difference(a, b)).mean()))


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, 20 log10(255 / rms); infinite for equal pictures."""
    distance = rms(a, b)
    return math.inf if distance == 0 else 20 * math.log10(_PEAK / distance)


def ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity of the luma, -1..1, 1 for equal pictures.

    The mean of the SSIM map of Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From
    Error Visibility to Structural Similarity", IEEE TIP 13(4), 2004, equation 13, where the window
    lies wholly inside the picture. ValueError for pictures smaller than the window, 11x11.
    """
    _difference(a, b)  # refuses unequal sizes
    if not fits_window(a):
        raise ValueError(f"ssim needs pictures of at least 11x11 pixels, not {a.shape}")
    x, y = a @ _LUMA, b @ _LUMA
    mean_x, mean_y = _window(x), _window(y)
    variance_x = _window(x * x) - mean_x**2
    variance_y = _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float((luminance * structure).mean())


def fits_window(pixels: Pixels) -> bool:
    """Whether a picture is as large as the window of `ssim`, 11x11."""
    return bool(min(pixels.shape[:2]) > 2 * _RADIUS)


def clipped_share(pixels: Pixels) -> float:
    """Share of channel values that lie at an end of the range, 0 or 255: 0..1.

    High CFG scales drive values out of the VAE's range ("burning"), and they end up here.
    """
    return float(((pixels == 0) | (pixels == 255)).mean())


def saturation(pixels: Pixels) -> float:
    """Mean saturation 0..1: (max - min) / max of a pixel, as in HSV; black counts as 0."""
    values = pixels.astype(np.float64)
    most, least = values.max(axis=-1), values.min(axis=-1)
    return float(np.where(most > 0, (most - least) / np.maximum(most, 1), 0.0).mean())


def saturated_share(pixels: Pixels, *, above: float = 0.95) -> float:
    """Share of pixels whose HSV saturation is above `above` (0..1): 0..1."""
    values = pixels.astype(np.float64)
    most, least = values.max(axis=-1), values.min(axis=-1)
    return float((most - least > above * np.maximum(most, 1)).mean())


def _difference(a: Pixels, b: Pixels) -> NDArray[np.float64]:
    if a.shape != b.shape:
        raise ValueError(f"pictures of different sizes: {a.shape} and {b.shape}")
    return a.astype(np.float64) - b


def _window(channel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means under the Gaussian window, without the border that it does not fit into."""
    from scipy.ndimage import gaussian_filter

    blurred: NDArray[np.float64] = gaussian_filter(channel, _SIGMA, radius=_RADIUS, mode="constant")
    return blurred[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
