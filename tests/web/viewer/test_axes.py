"""The sheet's axes: chosen, paged, hidden, sorted, named in headers that are not cut off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.viewer import synthetic
from tests.web.viewer.screen import ROOT, steps
from tests.web.viewer.server import Sweeps
from tests.web.viewer.synthetic import CFG, SAMPLERS

Open = Callable[..., Page]
pytestmark = pytest.mark.browser


def test_axes_are_chosen_on_the_page(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(
        sweeps.add(
            "three", synthetic.description({"seed": [1, 2], "sampler": SAMPLERS, "cfg": CFG})
        )
    )
    # As a screen is, wider than high: two axes across, one within the other.
    expect(page.locator(".side .label")).to_have_text(SAMPLERS)
    assert [label.split() for label in page.locator(".top .label").all_inner_texts()][:4] == [
        ["1", "1"], ["1", "7"], ["1", "20"], ["2", "1"],
    ]  # fmt: skip
    upright = open_page(page.url, width=390, height=800)
    assert upright.locator(".top .label").all_inner_texts() == [str(cfg) for cfg in CFG]
    page.locator('[data-axis="seed"] .role').select_option("page")
    expect(page.locator(".side .label")).to_have_text(SAMPLERS)
    page.locator('[data-axis="seed"] .page').select_option(label="2")
    assert set(steps(page)) == set(range(9, 18))
    page.locator(".sheet").focus()
    page.keyboard.press("p")
    expect(page.locator(".top .label")).to_have_text(SAMPLERS)
    page.keyboard.press("[")
    expect(page.locator('[data-axis="seed"] .page')).to_have_value("0")
    assert set(steps(page)) == set(range(9))


_WATCH_PAGES = f"""() => {{
    const app = {ROOT}.querySelector(".app").sdvizApp;
    const set = app.set.bind(app);
    window.turned = [];
    app.set = (change) => {{
        if (change.page) window.turned.push(change.page[1]);
        set(change);
    }};
}}"""


def test_pages_turn_by_themselves(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.get_by_label("Speed").select_option("30")
    page.locator('[data-axis="cfg"] .role').select_option("page")
    page.evaluate(_WATCH_PAGES)
    turn = page.get_by_role("button", name="cycle through the pages: cfg")
    turn.click()
    page.wait_for_function("() => window.turned.length >= 4")
    assert page.evaluate("window.turned.slice(0, 4)") == [1, 2, 0, 1]  # round and round
    page.locator(".sheet").focus()
    page.keyboard.press("P")
    expect(turn).to_have_attribute("aria-pressed", "false")
    stopped = page.evaluate("window.turned.length")
    page.wait_for_timeout(300)
    assert page.evaluate("window.turned.length") == stopped


def test_values_can_be_hidden(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator('[data-axis="cfg"] summary').click()
    page.locator('[data-axis="cfg"] .menu').get_by_label("7", exact=True).click()
    expect(page.locator(".top .label")).to_have_text(["1", "20"])
    assert set(steps(page)) == {0, 2, 3, 5, 6, 8}


def test_sorted_by_time(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator(".tools").get_by_label("Order").select_option("slowest")
    page.wait_for_selector(".labelled")
    box = """all => all.map((cell) => {
        const { top, left } = cell.getBoundingClientRect();
        return [top, left, cell.querySelector(".cap").lastChild.textContent];
    })"""
    read = [time for _, _, time in sorted(page.locator(".cell").evaluate_all(box))]
    assert read == sorted(read, key=lambda text: -float(text.split()[0]))
    assert page.locator('.cell[data-cell="8"] .lab').inner_text() == "sampler Heun · cfg 20"


def test_sorted_by_score(sweeps: Sweeps, open_page: Open) -> None:
    """Only where there are scores, which then stand below the pictures."""
    described = synthetic.description({"sampler": SAMPLERS, "cfg": CFG})
    scores = [20, 31.5, 18, 25, 33.25, 19, 28, 30, 22.5]
    for cell, score in zip(described["cells"], scores, strict=True):
        cell["clip"] = score
    del described["cells"][5]["clip"]
    page = open_page(sweeps.add("scored", described))
    order = page.locator(".tools").get_by_label("Order")
    assert "prompt adherence, highest first" in order.inner_text()
    assert "aesthetic" not in order.inner_text()
    order.select_option("clip")
    page.wait_for_selector(".labelled")
    box = """all => all.map((cell) => {
        const { top, left } = cell.getBoundingClientRect();
        const told = cell.querySelector(".cap").lastChild.textContent;
        return [top, left, Number(cell.dataset.cell), told];
    })"""
    told = [(cell, text) for _, _, cell, text in sorted(page.locator(".cell").evaluate_all(box))]
    assert told == [
        (4, "33.3"), (1, "31.5"), (7, "30"), (6, "28"), (3, "25"), (8, "22.5"), (0, "20"),
        (2, "18"), (5, ""),
    ]  # fmt: skip


def test_headers_stay_in_view(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(
        sweeps.add(
            "wide",
            synthetic.description(
                {"sampler": [f"S{n}" for n in range(30)], "cfg": list(range(30))}, steps=2
            ),
        )
    )
    page.locator(".sheet").evaluate("element => element.scrollTo(1500, 1500)")
    page.wait_for_timeout(300)
    sheet, top, side = (
        page.locator(s).bounding_box() for s in (".sheet", ".heads.top", ".heads.side")
    )
    assert sheet and top and side
    assert abs(top["y"] - sheet["y"]) < 1 and abs(side["x"] - sheet["x"]) < 1
    cell = page.locator(".cell").nth(40)
    index = int(cell.get_attribute("data-cell") or 0)
    column = (
        page.locator(".top .label", has_text=f"{index % 30}")
        .filter(has_text=str(index % 30))
        .last.bounding_box()
    )
    assert column and abs(column["x"] - cell.bounding_box()["x"]) < 1  # type: ignore[index]


FIVE = {
    "prompt": ["a white house by a lake, in the evening", "雪中两座蓝色的房子,夜晚,月亮"],
    "cfg": [3, 7.5],
    "sampler": ["Euler a", "DPM++ 2M SDE Karras"],
    "guidance_rescale": [0, 0.7],
    "steps": [4, 6],
}


_CUT = """(all) => all.filter((part) => {
    const box = part.getBoundingClientRect();
    const row = part.parentElement.getBoundingClientRect();
    return part.scrollWidth > part.clientWidth + 1 || box.bottom > row.bottom + 1;
}).map((part) => part.textContent)"""


def test_headers_of_many_axes_are_not_cut_off(sweeps: Sweeps, open_page: Open) -> None:
    """Every axis is named in full, and what tells a row from the next is read in every row."""
    address = sweeps.add("five", synthetic.description(FIVE))
    page = open_page(address)
    names = page.locator(".corner span")
    assert names.all_inner_texts() == [
        "prompt ↓", "guidance_rescale ↓", "cfg →", "sampler →", "steps →",
    ]  # fmt: skip
    assert names.evaluate_all(_CUT) == []
    narrow = open_page(address, width=390, height=800)
    for opened in (page, narrow):
        assert opened.locator(".side .label span:last-child").evaluate_all(_CUT) == []
        assert opened.locator(".side .label").first.inner_text().endswith("\n0")


def test_a_single_axis_is_named_in_its_headers(sweeps: Sweeps, open_page: Open) -> None:
    """There is no corner to name it."""
    page = open_page(sweeps.add("one axis", synthetic.description({"cfg": CFG})))
    assert page.locator(".top .label").all_inner_texts() == ["cfg 1", "cfg 7", "cfg 20"]
