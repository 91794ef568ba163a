"""Film strips, curves, timings, marks, the list of keys, the language, sizes of screens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.viewer import synthetic
from tests.web.viewer.screen import ROOT, pictures, press
from tests.web.viewer.server import Sweeps
from tests.web.viewer.synthetic import SAMPLERS

Open = Callable[..., Page]
pytestmark = pytest.mark.browser
ROOT_FOLDER = Path(__file__).parents[3]


def test_one_strip_for_each_sampler_at_equal_noise(
    grid: str, sweep: dict[str, Any], open_page: Open
) -> None:
    page = open_page(grid)
    press(page, "f")
    expect(page.locator(".film .side-label")).to_have_text(SAMPLERS)
    page.locator(".strips").get_by_label("Align by").select_option("sigma")
    over = page.locator(".film .over:not(.corner-cell)")
    expect(over.first).to_contain_text("σ")
    heads = over.all_inner_texts()
    assert heads[-1] == "final image" and len(heads) == 8
    page.wait_for_function(
        f"() => [...{ROOT}.querySelectorAll('.film img')].every(i => i.naturalWidth)"
    )
    shown = [one["step"] for one in pictures(page)][:8]
    sigmas = sweep["schedules"][0]["sigmas"]
    for head, step in zip(heads[:-1], shown, strict=False):
        level = float(head.removeprefix("σ "))
        assert sigmas[int(step) - 1] <= level * 1.06  # the header is rounded to two figures
        assert int(step) == 1 or sigmas[int(step) - 2] > level * 0.94
    page.locator(".strips").get_by_label("cfg", exact=True).select_option(label="cfg 20")
    page.wait_for_selector('.film .cell[data-cell="8"]')
    page.locator('.film .cell[data-cell="5"] .pic').nth(2).click()
    expect(page.locator(".inspector h2")).to_have_text("sampler DPM++ 2M Karras · cfg 20")


def test_curves_against_seconds(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    press(page, "v")
    page.wait_for_selector('[data-plot="distance"] path.line')
    plots = page.locator(".plot h3").all_text_contents()
    assert plots[:3] == ["distance to final image", "guidance strength", "Latent: mean"]
    assert "clipped pixels – cfg" in plots and "saturation – cfg" in plots
    assert page.locator('[data-plot="distance"] path.line').count() == 9
    page.get_by_label("X axis").select_option("seconds")
    expect(page.locator('[data-plot="distance"] .axis-name')).to_have_text("seconds")
    line = page.locator('[data-plot="distance"] path.line').first
    box = line.bounding_box()
    assert box
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    expect(page.locator('[data-plot="distance"] .reading')).to_contain_text("cfg")
    page.mouse.click(box["x"] + 1, box["y"] + 1)
    expect(page.locator(".inspector .pic img")).to_have_attribute("data-step", "1")


def test_which_sampler_is_nearest_to_the_converged_picture(sweeps: Sweeps, open_page: Open) -> None:
    described = synthetic.description({"sampler": SAMPLERS, "steps": [5, 10, 20]})
    for cell in described["cells"]:
        cell["ref"] = True
        if cell["r"]["sampler"] == "Euler a":
            cell["noisy"] = True
    page = open_page(sweeps.add("converging", described))
    press(page, "v")
    page.wait_for_selector('[data-plot="converging-seconds"] path.line')
    names = page.locator(".plot").evaluate_all("plots => plots.map(plot => plot.dataset.plot)")
    assert names[:3] == [f"converging-{cost}" for cost in ("steps", "evaluations", "seconds")]
    steps = page.locator('[data-plot="converging-steps"]')
    expect(steps.locator("path.line")).to_have_count(3)  # a line a sampler, over its step counts
    expect(steps.locator("path.line.dashed")).to_have_count(1)
    expect(steps.locator(".about")).to_contain_text("does not converge to one image")
    # its distances, 0.04 to 0.01, have their orders of magnitude on the axis
    ticks = steps.locator(".tick.y").all_text_contents()
    assert ticks == ["0.01", "0.02", "0.05", "0.1"]
    heights = steps.locator("path.line:not(.dashed)").first.evaluate(
        "line => line.getAttribute('d').match(/[ML][^ML]+/g).map(p => Number(p.split(' ')[1]))"
    )
    assert heights == sorted(heights) and len(heights) == 3  # lower on the screen, so nearer
    assert page.locator('[data-plot="reference"] path.line.dashed').count() == 3
    dot = steps.locator("circle").first.bounding_box()
    assert dot
    page.mouse.click(dot["x"] + 2, dot["y"] + 2)
    expect(page.locator(".inspector h2")).to_contain_text("steps 5")


def test_timings_by_sampler_and_by_cell(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    press(page, "t")
    page.wait_for_selector(".by-sampler td")
    rows = {
        row.split("\t")[0]: row.split("\t")[1:]
        for row in page.locator(".by-sampler tbody tr").all_inner_texts()
    }
    assert list(rows) == SAMPLERS
    assert rows["Heun"][2] == "2" and rows["Euler a"][2] == "1"  # evaluations per step
    assert float(rows["Heun"][1]) > 1.2 * float(rows["Euler a"][1])  # seconds per step
    page.locator(".timings").get_by_label("Order").select_option("slowest")
    expect(page.locator(".cell-bar").first).to_contain_text("Heun")
    times = [float(text.split()[0]) for text in page.locator(".cell-bar .num").all_inner_texts()]
    assert times == sorted(times, reverse=True) and len(times) == 9
    page.locator(".cell-bar").first.click()
    expect(page.locator(".inspector h2")).to_contain_text("Heun")


def test_question_mark_lists_every_key(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    press(page, "?")
    expect(page.locator("dialog.help")).to_be_visible()
    listed = set(page.locator("dialog.help kbd").all_inner_texts())
    assert {
        "←",
        "Enter",
        "Esc",
        ",",
        ".",
        "Space",
        "s",
        "a",
        "b",
        "d",
        "m",
        "e",
        "?",
        "[",
    } <= listed
    documented = (
        (ROOT_FOLDER / "docs" / "viewer.md").read_text(encoding="utf-8").split("## Keys")[1]
    )
    assert all(key in documented for key in listed)
    page.keyboard.press("Escape")
    expect(page.locator("dialog.help")).to_be_hidden()


def test_chinese_when_the_browser_asks(grid: str, open_page: Open) -> None:
    page = open_page(grid, locale="zh-CN")
    expect(page.locator(".tabs button").first).to_have_text("总览")
    expect(page.locator(".now.step")).to_have_text("最终图像")
    expect(page.locator(".status")).to_contain_text("已完成")


@pytest.mark.parametrize(
    ("width", "height", "least"), [(1280, 800, 13), (3840, 2160, 20), (390, 844, 14)]
)
def test_readable_on_every_screen(
    width: int, height: int, least: int, grid: str, open_page: Open
) -> None:
    page = open_page(grid, width=width, height=height)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for view in ("g", "f", "c", "v", "t"):
        press(page, view)
        page.wait_for_timeout(150)
        sizes = page.evaluate("""() => {
            const app = document.querySelector('.sdviz').shadowRoot.querySelector('.app');
            const texts = [...app.querySelectorAll('button, select, h3, .label, .cap, td, dd')];
            const sizes = texts.filter(e => e.offsetParent)
                .map(e => parseFloat(getComputedStyle(e).fontSize));
            return {least: Math.min(...sizes), wide: app.scrollWidth};
        }""")
        assert sizes["least"] >= 0.9 * least, view
        assert sizes["wide"] <= width, view
    assert page.locator(".slider").evaluate("e => e.getBoundingClientRect().bottom <= innerHeight")


def test_seconds_are_comparable_and_the_measured_ones_one_click_away(
    sweeps: Sweeps, open_page: Open
) -> None:
    """Euler a rode in the warm-up; what it costs is what DDIM costs, and half of Heun's."""
    described = synthetic.description({"sampler": ["Euler a", "DDIM", "Heun"]}, steps=10)
    for cell, took, cost in zip(described["cells"], (9.0, 1.0, 2.0), (1.0, 1.0, 1.9), strict=True):
        cell["t"] |= {
            "denoise_s": took, "total_s": took + 0.5,
            "comparable_s": cost + 0.25, "comparable_denoise_s": cost,
        }  # fmt: skip
    described["cells"][1]["src"] = "older"
    described["comparable"] = {"miniature": {"batch": 32, "settled": False, "device": "cpu"}}
    page = open_page(sweeps.add("comparable", described))
    press(page, "t")
    page.wait_for_selector(".by-sampler td")

    def table() -> dict[str, tuple[str, str]]:
        rows = page.locator(".by-sampler tbody tr").all_inner_texts()
        return {row.split("\t")[0]: (row.split("\t")[2], row.split("\t")[5]) for row in rows}

    assert table() == {
        "Euler a": ("0.100", "1.25 s"), "DDIM": ("0.100", "1.25 s"), "Heun": ("0.190", "2.15 s"),
    }  # fmt: skip
    how = page.locator(".timings .pace")
    expect(how).to_contain_text("32 rows per tick on cpu")
    expect(how).to_contain_text("too few cells were computed")
    assert page.locator(".cell-bar .num").all_inner_texts() == ["1.25 s", "1.25 s *", "2.15 s"]
    page.locator(".timings").get_by_label("Order").select_option("slowest")
    expect(page.locator(".cell-bar").first).to_contain_text("Heun")
    page.locator(".timings").get_by_label("Seconds").select_option("measured")
    expect(page.locator(".timings .pace")).to_contain_text("Measured time of each cell")
    assert table()["Euler a"] == ("0.900", "9.50 s")
