"""The sheet: one slider for all cells, axes chosen on the page, thousands of cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.web.viewer import synthetic
from tests.web.viewer.screen import ROOT, drag_slider, pictures, screenshot, steps
from tests.web.viewer.server import Sweeps
from tests.web.viewer.synthetic import CFG, SAMPLERS

Open = Callable[..., Page]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mixed_sweep() -> dict[str, Any]:
    return synthetic.description({"sampler": ["Euler a", "DPM++ 2M Karras"], "steps": [5, 10, 20]})


@pytest.fixture(scope="module")
def mixed(sweeps: Sweeps, mixed_sweep: dict[str, Any]) -> str:
    return sweeps.add("mixed", mixed_sweep)


def test_rows_columns_and_final_images(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    assert page.locator(".side .label").all_inner_texts() == SAMPLERS
    assert page.locator(".top .label").all_inner_texts() == [str(cfg) for cfg in CFG]
    assert steps(page) == dict.fromkeys(range(9), 0)
    assert {one["width"] for one in pictures(page)} == {128}
    assert page.locator(".now.step").inner_text() == "final image"
    first = screenshot(page.locator('.cell[data-cell="4"] .pic'))
    assert abs(first[8, 8].astype(int) - synthetic.scene(4, 128).getpixel((2, 2))).max() < 12


def test_dragging_the_slider_moves_every_cell(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    drag_slider(page, page.locator(".slider"), 11 / 20)
    assert steps(page) == dict.fromkeys(range(9), 12)
    assert page.locator(".now.step").inner_text() == "step 12/20"
    assert page.locator(".now.sigma").inner_text().startswith("σ ")
    expect(page.locator(".now.time")).to_have_text("0.25 s")  # 0.42 s for 20 steps
    assert page.locator('.cell[data-cell="0"] .cap span').first.inner_text() == "12/20"


def test_keys_step_and_reach_both_ends(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator(".sheet").focus()
    page.keyboard.press("Home")
    assert set(steps(page).values()) == {1}
    page.keyboard.press(".")
    page.keyboard.press(".")
    page.keyboard.press(",")
    assert set(steps(page).values()) == {2}
    page.keyboard.press("End")
    assert set(steps(page).values()) == {0}


def test_play_runs_and_stops(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator(".sheet").focus()
    page.keyboard.press("Home")
    page.get_by_label("Speed").select_option("30")
    page.get_by_role("button", name="play").click()
    page.wait_for_function(f"() => Number({ROOT}.querySelector('.slider').value) > 4")
    page.get_by_role("button", name="pause").click()
    stopped = page.locator(".now.step").inner_text()
    page.wait_for_timeout(200)
    assert page.locator(".now.step").inner_text() == stopped


@pytest.mark.parametrize("align", ["fraction", "sigma"])
def test_alignment(align: str, mixed: str, mixed_sweep: dict[str, Any], open_page: Open) -> None:
    page = open_page(mixed)
    page.locator(".transport").get_by_label("Align by").select_option(align)
    drag_slider(page, page.locator(".slider"), 0.5)
    at = page.evaluate(
        "document.querySelector('.sdviz').shadowRoot.querySelector('.app').sdvizApp.state.at"
    )
    shown = steps(page)
    for cell in mixed_sweep["cells"]:
        sigmas = mixed_sweep["schedules"][cell["q"]]["sigmas"]
        if align == "fraction":
            expected = max(1, int(at * len(sigmas) + 0.5))
        else:
            expected = next(k for k, sigma in enumerate(sigmas, 1) if sigma <= at * 1.00001)
        assert shown[cell["i"]] == expected, cell
    assert len(set(shown.values())) > 1


def test_a_cell_with_fewer_steps_shows_its_final_image(mixed: str, open_page: Open) -> None:
    page = open_page(mixed)
    drag_slider(page, page.locator(".slider"), 7 / 20)
    assert steps(page) == {0: 0, 1: 8, 2: 8, 3: 0, 4: 8, 5: 8}


def test_ten_thousand_cells_scroll(sweeps: Sweeps, open_page: Open) -> None:
    sweeps.kinds = 50
    sweep = synthetic.description(
        {"sampler": [f"S{n}" for n in range(100)], "seed": list(range(100))}, steps=3, size=64
    )
    page = open_page(sweeps.add("many", sweep))
    sweeps.kinds = 1 << 30
    page.locator(".sheet").evaluate("element => element.scrollTo(1e6, 1e6)")
    page.wait_for_selector('.cell[data-cell="9999"] img[src]')
    assert page.locator(".cell").count() < 600
    page.locator(".sheet").focus()
    page.keyboard.press("Home")
    assert set(steps(page).values()) == {1}


def test_zoom_is_linked(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator('.cell[data-cell="4"] .pic').hover(position={"x": 10, "y": 10})
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_selector(".zoomed")
    transforms = page.locator(".cell img").evaluate_all(
        "all => all.map(image => getComputedStyle(image).transform)"
    )
    assert len(set(transforms)) == 1 and transforms[0] != "none"
    page.keyboard.press("0")
    expect(page.locator(".zoomed")).to_have_count(0)


def test_size_and_fit(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    before = page.locator(".cell").first.bounding_box()
    page.locator(".sheet").focus()
    page.keyboard.press("(")
    page.wait_for_timeout(100)
    after = page.locator(".cell").first.bounding_box()
    assert before and after and after["width"] < before["width"]
    page.get_by_role("button", name="Fit").click()
    page.wait_for_timeout(100)
    assert page.locator(".cell").first.bounding_box() == before


def test_the_figures_beside_the_slider_say_what_they_are(grid: str, open_page: Open) -> None:
    for locale, word in (("en-US", "denoising time"), ("zh-CN", "去噪时间")):
        time = open_page(grid, locale=locale).locator(".now.time")
        assert word in (time.get_attribute("title") or "")


def test_the_bar_tells_prompt_negative_and_what_holds_for_every_cell(
    sweeps: Sweeps, open_page: Open
) -> None:
    description = synthetic.description({"cfg": CFG})
    description["fixed"] |= {"prompt": "a pyramid", "negative": "night, moon", "eta": None}
    description["quiet"] = ["eta"]
    prompt = open_page(sweeps.add("told", description)).locator(".head .prompt")
    expect(prompt).to_have_text("a pyramid · negative: night, moon")
    title = prompt.get_attribute("title") or ""
    assert "negative night, moon" in title.splitlines() and "eta" not in title


def test_the_sheet_is_saved_as_it_stands(grid: str, open_page: Open, tmp_path: Path) -> None:
    page = open_page(grid)
    page.locator('[data-axis="cfg"] summary').click()
    page.locator('[data-axis="cfg"] .menu').get_by_label("7", exact=True).click()

    def saved(name: str) -> np.ndarray[Any, Any]:
        with page.expect_download() as download:
            page.get_by_role("button", name="Save picture").click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        return np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)

    def sky(picture: np.ndarray[Any, Any], cell: int) -> np.ndarray[Any, Any]:
        """(y, x) of all pixels of this cell's sky."""
        colour = synthetic.scene(cell, 128).getpixel((2, 2))
        return np.argwhere(abs(picture - colour).max(axis=2) < 3)

    picture = saved("synthetic.png")
    middles = {cell: np.median(sky(picture, cell), axis=0) for cell in (0, 2, 3, 5, 6, 8)}
    for row in (0, 3, 6):
        assert abs(middles[row][0] - middles[row + 2][0]) < 40  # beside each other
        assert middles[row][1] + 150 < middles[row + 2][1]
    assert middles[0][0] + 150 < middles[3][0] < middles[6][0] - 150
    assert all(len(sky(picture, hidden)) < 50 for hidden in (1, 4, 7))
    page.locator(".sheet").focus()
    page.keyboard.press("Home")
    assert set(steps(page).values()) == {1}
    noisy = saved("synthetic-step-1.png")
    assert noisy.shape == picture.shape and len(sky(noisy, 0)) < len(sky(picture, 0)) / 4
