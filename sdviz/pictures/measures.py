"""Measures of pictures and of the distance between two; uint8 arrays (H, W, 3), RGB, 0..255."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sdviz.errors import ArchiveError
from sdviz.pictures.files import decode
from sdviz.pictures.pixels import Pixels

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


def largest_difference(a: Pixels, b: Pixels) -> int:
    """The largest difference of a channel's value, 0..255."""
    return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max(initial=0))


def normalized_rms(a: Pixels, b: Pixels) -> float:
    """Root mean square difference, 0..1."""
    return rms(a, b) / 255


def ssim_of_any_size(a: Pixels, b: Pixels) -> float:
    """Structural similarity, -1..1; of images smaller than its window 1 where they are equal, and
    NaN where they are not.
    """
    if fits_window(a):
        return ssim(a, b)
    return 1.0 if np.array_equal(a, b) else float("nan")


def frame_measures(
    webp: bytes, final: Pixels | None, reference: Pixels | None = None
) -> dict[str, float]:
    """distance, reference, clipped and saturation of one stored frame, each 0..1; nothing where it
    is damaged.

    `distance` is the root mean square difference to the final image, `reference` that to the
    converged one (sdviz.plan.reference); each is left out without its image. `clipped` is the
    share of channel values at 0 or 255. `saturation` is the mean of HSV's saturation, (max - min)
    / max.
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
