"""The inspector: one cell with its own slider and every figure; keys walk along the axes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.viewer import synthetic
from tests.web.viewer.screen import drag_slider, screenshot, steps
from tests.web.viewer.server import Sweeps

Open = Callable[..., Page]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def grid(sweeps: Sweeps) -> str:
    return sweeps.add(
        "inspected", synthetic.description({"sampler": ["Euler a", "Heun"], "cfg": [1, 7, 20]})
    )


def test_click_opens_the_cell_with_everything_known(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator('.cell[data-cell="4"] .pic').click()
    expect(page.locator(".inspector h2")).to_have_text("sampler Heun · cfg 7")
    facts = dict(
        page.locator(".inspector .facts")
        .first.locator("div")
        .evaluate_all(
            "all => all.map(row => [row.children[0].textContent, row.children[1].textContent])"
        )
    )
    fixed = {**synthetic.FIXED, "steps": 20, "seed": 42, "width": 128, "height": 128}
    expected = {**fixed, "sampler": "Heun", "negative": "“”"}
    assert facts == {name: str(value) for name, value in expected.items()}
    split = page.locator(".inspector .time").all_inner_texts()
    assert [line.split("\n")[-1] for line in split] == [
        "0.00 s",
        "1.18 s",
        "0.06 s",
        "0.02 s",
        "0.01 s",
        "1.26 s",
    ]
    expect(page.locator(".inspector")).to_contain_text("guidance strength")
    box = page.locator(".inspector .pic").bounding_box()
    assert box and box["width"] > 500
    seen = screenshot(page.locator(".inspector .pic"))
    assert (
        abs(seen[40, 40].astype(int) - synthetic.scene(4, 128).getpixel((5, 5))).max() <= 1
    )  # the PNG


def test_what_is_switched_off_is_called_none(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(sweeps.add("off", synthetic.description({"lora": ["", "a.safetensors"]})))
    page.locator('.cell[data-cell="0"] .pic').click()
    lora = page.locator(".inspector .facts .varying")
    expect(lora).to_have_text("loranone")


def test_its_slider_is_its_own(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    drag_slider(page, page.locator(".slider"), 0.5)
    page.locator('.cell[data-cell="1"] .pic').click()
    image = page.locator(".inspector .pic img")
    expect(image).to_have_attribute("data-step", "11")  # where the sheet stood
    drag_slider(page, page.locator(".slider"), 0.1)
    expect(image).to_have_attribute("data-step", "3")
    expect(page.locator(".now.step")).to_have_text("step 3/20")
    expect(page.locator(".inspector .facts").last).to_contain_text("σ")
    page.keyboard.press("Escape")
    assert set(steps(page).values()) == {11}  # the sheet has not moved


def test_keys_walk_along_the_axes(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator('.cell[data-cell="0"] .pic').click()
    title = page.locator(".inspector h2")
    walk = [("Right", "Euler a", 7), ("Down", "Heun", 7), ("Right", "Heun", 20)]
    walk += [("Right", "Heun", 20), ("Up", "Euler a", 20)]  # nothing lies beyond the edge
    for way, sampler, cfg in walk:
        page.keyboard.press(f"Arrow{way}")
        expect(title).to_have_text(f"sampler {sampler} · cfg {cfg}")
    expect(page.locator(".inspector .pic img")).to_have_attribute("data-cell", "2")


def test_failed_and_waiting_cells_say_so(sweeps: Sweeps, open_page: Open) -> None:
    sweep = synthetic.description({"cfg": [1, 7, 20]})
    sweep["cells"][1] = {
        "i": 1,
        "c": [1],
        "r": {"cfg": 7},
        "s": "failed",
        "f": 0,
        "q": 0,
        "e": "NaN in <b>float16</b>",
    }
    sweep["cells"][2] = {"i": 2, "c": [2], "r": {"cfg": 20}, "s": "waiting", "f": 0, "q": 0}
    page = open_page(sweeps.add("failing", sweep))
    expect(page.locator('.cell[data-cell="1"]')).to_contain_text("failed: NaN in <b>float16</b>")
    expect(page.locator('.cell[data-cell="2"]')).to_contain_text("waiting")
    page.locator('.cell[data-cell="1"]').click()
    expect(page.locator(".inspector .notes")).to_contain_text("NaN in <b>float16</b>")


def test_scores_and_caption_of_a_cell(sweeps: Sweeps, open_page: Open) -> None:
    said = {"scores": {"clip": 24.125, "aesthetic": 5.5}, "caption": "a <b>red</b> pyramid"}
    sweep = synthetic.description({"cfg": [1, 7, 20]}, scores={"1": said})
    for at, clip in enumerate((20.0, 24.125, 22.0)):
        sweep["cells"][at].update(clip=clip, aesthetic=5.0 + at)
    page = open_page(sweeps.add("scored", sweep))
    page.locator('.cell[data-cell="1"] .pic').click()
    rows = page.locator(".inspector .scores div")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_have_text("prompt adherence24.1")
    expect(rows.nth(1)).to_have_text("aesthetic score5.50")
    expect(rows.nth(2)).to_contain_text("a <b>red</b> pyramid")
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(0)
    expect(page.get_by_role("heading", name="Scores")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    expect(page.locator(".curves")).to_contain_text("prompt adherence – cfg")
    expect(page.locator(".curves")).to_contain_text("aesthetic score – cfg")


def test_running_again_tells_the_page_around(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(
        sweeps.add("steered", synthetic.description({"cfg": [1, 7]}, live_control=True))
    )
    page.evaluate(
        "document.addEventListener('sdviz:rerun', event => { window.asked = event.detail })"
    )
    page.locator('.cell[data-cell="1"] .pic').click()
    page.get_by_role("button", name="More seeds").click()
    asked = page.evaluate("window.asked")
    assert (
        asked["what"] == "seeds"
        and asked["recipe"]["cfg"] == 7
        and asked["recipe"]["sampler"] == "Euler a"
    )


def test_nothing_to_run_again_in_an_archive(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator('.cell[data-cell="1"] .pic').click()
    expect(page.locator(".inspector h2")).to_be_visible()
    assert page.get_by_role("button", name="Run again with changes").count() == 0
