"""Measures against values worked out by hand, and against what they are meant to tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from sdviz.pictures import measures


def flat(*rgb: int, size: int = 16) -> NDArray[np.uint8]:
    return np.full((size, size, 3), rgb, dtype=np.uint8)


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_distances_of_flat_pictures() -> None:
    a, b = flat(10, 10, 10), flat(20, 20, 20)
    assert measures.rms(a, b) == 10
    assert measures.psnr(a, b) == pytest.approx(20 * math.log10(25.5))
    # No structure: only the luminance term of equation 13 is left.
    c1 = (0.01 * 255) ** 2
    assert measures.ssim(a, b) == pytest.approx((2 * 10 * 20 + c1) / (100 + 400 + c1))


def test_equal_pictures() -> None:
    a = noise(1)
    assert measures.rms(a, a.copy()) == 0
    assert measures.psnr(a, a.copy()) == math.inf
    assert measures.ssim(a, a.copy()) == pytest.approx(1)


def test_a_dark_minus_a_light_value_does_not_wrap_around() -> None:
    assert measures.rms(flat(0, 0, 0), flat(255, 255, 255)) == 255


def test_ssim_tells_structure_from_a_shift_of_brightness() -> None:
    a = noise(1) // 2 + 40
    brighter = a + 20
    scrambled = noise(2) // 2 + 40
    assert measures.ssim(a, brighter) > 0.9 > 0.2 > measures.ssim(a, scrambled)
    assert measures.ssim(a, scrambled) == pytest.approx(measures.ssim(scrambled, a))


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        measures.rms(flat(1, 1, 1), flat(1, 1, 1, size=17))
    with pytest.raises(ValueError, match="11x11"):
        measures.ssim(flat(1, 1, 1, size=10), flat(1, 1, 1, size=10))


def test_burning_is_seen() -> None:
    assert measures.clipped_share(flat(128, 128, 128)) == 0
    assert measures.clipped_share(flat(255, 0, 128)) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("rgb", "saturation", "share"),
    [((0, 0, 0), 0, 0), ((90, 90, 90), 0, 0), ((255, 0, 0), 1, 1), ((100, 50, 50), 0.5, 0)],
)
def test_saturation_of_flat_pictures(
    rgb: tuple[int, int, int], saturation: float, share: float
) -> None:
    assert measures.saturation(flat(*rgb)) == pytest.approx(saturation)
    assert measures.saturated_share(flat(*rgb)) == share
