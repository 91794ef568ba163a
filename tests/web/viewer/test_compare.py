"""Two cells compared: the pictures as they are painted, and the figures against numpy and scipy."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from scipy.ndimage import gaussian_filter

from tests.web.viewer import synthetic
from tests.web.viewer.screen import ROOT, drag_slider, screenshot
from tests.web.viewer.server import Sweeps

Open = Callable[..., Page]
pytestmark = pytest.mark.browser
A, B = 1, 5


@pytest.fixture(scope="module")
def grid(sweeps: Sweeps) -> str:
    return sweeps.add(
        "compared", synthetic.description({"sampler": ["Euler a", "Heun"], "cfg": [1, 7, 20]})
    )


@pytest.fixture
def picked(grid: str, open_page: Open) -> Page:
    """A page where A and B were picked by pointing and pressing, and compare is open."""
    page = open_page(grid)
    for cell, key in ((A, "a"), (B, "b")):
        page.locator(f'.cell[data-cell="{cell}"] .pic').hover()
        page.keyboard.press(key)
        expect(page.locator(f'.cell[data-cell="{cell}"] .tags')).to_have_text(key.upper())
    page.keyboard.press("c")
    page.wait_for_selector(".figures dd")
    return page


def scenes() -> tuple[np.ndarray, np.ndarray]:
    one, other = (np.asarray(synthetic.scene(cell, 128)).astype(float) for cell in (A, B))
    return one, other


def figures(page: Page) -> list[str]:
    page.wait_for_function(f"() => {ROOT}.querySelectorAll('.figures dd').length === 3")
    return page.locator(".figures dd").all_inner_texts()


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004 on luma: scipy's Gaussian cut at 5 pixels, windows inside the picture."""
    x, y = (image @ [0.299, 0.587, 0.114] for image in (one, other))

    def mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, truncate=3.5)[5:-5, 5:-5]  # type: ignore[no-any-return]

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(
        (((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()
    )


def test_figures_are_right(picked: Page) -> None:
    one, other = scenes()
    psnr = 10 * np.log10(255**2 / np.mean((one - other) ** 2))
    shown = figures(picked)
    assert shown[0] == f"{psnr:.2f} dB"
    assert abs(float(shown[1]) - ssim(one, other)) < 2e-4
    assert shown[2] == f"{int(abs(one - other).max())}/255"


def test_figures_follow_the_slider(picked: Page) -> None:
    before = figures(picked)
    drag_slider(picked, picked.locator(".slider"), 9 / 20)
    expect(picked.locator(".first img")).to_have_attribute("data-step", "10")
    expect(picked.locator(".second img")).to_have_attribute("data-step", "10")
    one, other = (
        np.asarray(Image.open(io.BytesIO(synthetic.frame(c, 10, 20, 128))).convert("RGB")).astype(
            float
        )
        for c in (A, B)
    )
    psnr = 10 * np.log10(255**2 / np.mean((one - other) ** 2))
    expect(picked.locator(".figures dd").first).to_have_text(f"{psnr:.2f} dB")
    assert figures(picked) != before


def test_the_divider_is_dragged(picked: Page) -> None:
    picked.get_by_role("button", name="divider").click()
    picked.locator(".handle").wait_for()
    box = picked.locator(".second").bounding_box()
    assert box
    picked.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200)
    picked.mouse.down()
    picked.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 200, steps=3)
    picked.mouse.up()
    picked.wait_for_timeout(100)
    seen = screenshot(picked.locator(".pair"))
    one, other = scenes()
    for part, scene in ((0.1, one), (0.4, other), (0.9, other)):
        assert abs(seen[40, int(part * seen.shape[1])] - scene[8, int(part * 128)]).max() <= 2


def test_blend_shows_the_mean(picked: Page) -> None:
    picked.get_by_role("button", name="blend").click()
    picked.wait_for_timeout(150)
    seen = screenshot(picked.locator(".pair"))
    one, other = scenes()
    assert abs(seen[60, 60] - (one[12, 12] + other[12, 12]) / 2).max() <= 2


def test_flicker_shows_both_in_turn(picked: Page) -> None:
    picked.get_by_role("button", name="flicker").click()
    one, other = scenes()
    seen = set()
    for _ in range(8):
        pixel = screenshot(picked.locator(".pair"))[60, 60]
        seen |= {
            name
            for name, scene in (("A", one), ("B", other))
            if abs(pixel - scene[12, 12]).max() <= 2
        }
        picked.wait_for_timeout(150)
    assert seen == {"A", "B"}


def test_the_difference_has_a_scale(picked: Page) -> None:
    picked.get_by_role("button", name="difference").click()
    picked.locator(".below").get_by_label("Gain").select_option("1")
    expect(picked.locator(".scale")).to_contain_text("255/255")
    seen = screenshot(picked.locator(".pair")).astype(int)
    one, other = scenes()
    off = abs(one - other).max(axis=2)
    rows = np.linspace(10, seen.shape[0] - 10, 40).astype(int)
    light = np.array([seen[r, c].sum() for r in rows for c in rows])
    told = np.array(
        [
            off[int(r / seen.shape[0] * 128), int(c / seen.shape[1] * 128)]
            for r in rows
            for c in rows
        ]
    )
    assert np.corrcoef(light, told)[0, 1] > 0.95  # brighter where they differ more
    picked.locator(".below").get_by_label("Gain").select_option("4")
    expect(picked.locator(".scale")).to_contain_text("≥ 64/255")


def test_equal_pictures_are_called_identical(picked: Page) -> None:
    picked.get_by_label("B sampler").select_option(label="sampler Euler a")
    expect(picked.locator(".second img")).to_have_attribute("data-cell", "2")
    picked.get_by_label("B cfg").select_option(label="cfg 7")
    expect(picked.locator(".figures dd").first).to_have_text("∞ (identical)")
    assert figures(picked)[1:] == ["1.0000", "0/255"]


def test_swap(picked: Page) -> None:
    picked.get_by_role("button", name="Swap").click()
    expect(picked.locator(".first img")).to_have_attribute("data-cell", str(B))
    expect(picked.locator(".second img")).to_have_attribute("data-cell", str(A))
