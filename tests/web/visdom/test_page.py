"""The page in Chromium, with the network cut but for loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments import study
from sdviz.archive.reader import Archive
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.events import SweepStarted
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server
from sdviz.web.client.sink import BoardSink
from tests.archive import sweeps
from tests.web.showing import SLIDER, eventually, finished, sheet_pictures, show

pytestmark = pytest.mark.browser


def test_shows_sheet_windows_and_plots(board: Server, outputs: Path, page: Any) -> None:
    path = finished(outputs, "whole", {"sampler": ["Euler a", "DDIM"], "cfg": [3, 7, 15]})
    page.goto(show(board, path))
    page.wait_for_selector("text=a red pyramid")
    eventually(lambda: len(sheet_pictures(page)) == 6)
    eventually(lambda: page.locator("img.content-image").count() == 6)
    eventually(lambda: page.locator(".js-plotly-plot .bars path").count() >= 6)
    titles = page.locator(".window .bar").all_inner_texts()
    assert any("Euler a | cfg=15" in title for title in titles)


def test_a_title_longer_than_its_window_stays_in_its_bar(
    board: Server, outputs: Path, page: Any
) -> None:
    axes = {"prompt": ["a castle on a hill", "a ship at sea"], "guidance_rescale": [0.0, 0.7]}
    page.goto(show(board, finished(outputs, "titles", {**axes, "cfg": [3.5, 7.25]})))
    eventually(lambda: page.locator("img.content-image").count() == 8)
    bar = page.locator(".window:has(img.content-image) .bar").first
    title = bar.locator(".pull-right:not(button)").bounding_box()
    box = bar.bounding_box()
    assert abs(title["y"] - box["y"]) < 4 and title["width"] > box["width"] / 2
    for button in bar.locator("button:visible").all():  # 0.3 has one beside the title
        assert abs(button.bounding_box()["y"] - box["y"]) < 8


def test_one_slider_moves_every_cell(board: Server, outputs: Path, page: Any) -> None:
    path = finished(outputs, "slider", {"seed": [1, 2], "cfg": [3, 7, 15]})
    page.goto(show(board, path))
    eventually(lambda: len(sheet_pictures(page)) == 6)
    slider = page.get_by_role("slider", name=SLIDER)
    before = sheet_pictures(page)
    slider.focus()
    slider.press("Home")
    eventually(lambda: all(a != b for a, b in zip(before, sheet_pictures(page), strict=True)))


def test_a_cells_window_has_its_own_slider(board: Server, outputs: Path, page: Any) -> None:
    path = finished(outputs, "window", {"cfg": [3, 7]})
    page.goto(show(board, path))
    eventually(lambda: page.locator("img.content-image").count() == 2)
    first, second = (page.locator("img.content-image").nth(n) for n in (0, 1))
    assert "image/0.png" in first.get_attribute("src")
    page.locator(".widget input[type=range]").first.fill("2")
    eventually(lambda: "frame/0/3.webp" in first.get_attribute("src"))
    page.locator(".widget", has_text="step 3 of 10").wait_for()
    assert "image/1.png" in second.get_attribute("src")
    eventually(lambda: first.evaluate("image => image.complete && image.naturalWidth") == 64)


def test_large_pictures_come_small_into_small_windows(
    board: Server, outputs: Path, page: Any
) -> None:
    path = finished(outputs, "sizes", {"cfg": [3]}, width=1024, height=512, steps=2)
    page.goto(show(board, path))
    picture = page.locator("img.content-image")
    eventually(lambda: picture.count() == 1 and picture.evaluate("i => i.naturalWidth") == 384)
    shown = page.locator(".sdviz .sheet img")
    eventually(lambda: shown.evaluate("image => image.naturalWidth") == 384)
    page.get_by_role("slider", name=SLIDER).fill("0")
    eventually(lambda: shown.get_attribute("data-step") == "1")
    eventually(lambda: shown.evaluate("image => image.naturalWidth") == 384)
    page.locator('.sdviz .cell[data-cell="0"] .pic').click()
    inspected = page.locator(".sdviz .inspector .pic img")
    eventually(lambda: inspected.evaluate("image => image.naturalWidth") == 1024)
    page.get_by_role("slider").last.fill("0")
    eventually(lambda: inspected.get_attribute("data-step") == "1")
    eventually(lambda: inspected.evaluate("image => image.naturalWidth") == 1024)


def test_frames_appear_while_the_sweep_runs(board: Server, outputs: Path, page: Any) -> None:
    plan = sweeps.make_plan({"cfg": [3, 7]}, steps=20, width=64, height=64)
    writer = ArchiveWriter.open(outputs, "live", plan, {"name": "live"}, reuse=False)
    sink = BoardSink.open(VisdomConfig(port=board.port), writer.path, "live")
    events = list(sweeps.events(plan, writer.todo, "live"))
    finals = page.locator(".widget", has_text="final image")
    half = 13  # start, and eleven frames of the first cell
    try:
        page.goto(sink.url)
        for event in events[:half]:
            writer.handle(event)
            sink.handle(event)
        page.locator(".widget", has_text="step 11 of 20").wait_for()
        page.get_by_text("running").first.wait_for()
        assert finals.count() == 0
        for event in events[half:]:
            writer.handle(event)
            sink.handle(event)
    finally:
        writer.close()
        sink.close()
    eventually(lambda: finals.count() == 2)
    eventually(lambda: page.get_by_text("2 of 2 cells").count() == 1)


def test_a_cells_slider_stays_where_a_person_has_put_it(
    board: Server, outputs: Path, page: Any
) -> None:
    plan = sweeps.make_plan({"cfg": [3, 7]}, steps=40, width=64, height=64)
    writer = ArchiveWriter.open(outputs, "held", plan, {"name": "held"}, reuse=False)
    sink = BoardSink.open(VisdomConfig(port=board.port), writer.path, "held")
    first, second = (list(sweeps.cell_events(cell)) for cell in plan.cells)
    slider = page.locator(".widget input[type=range]")
    pictures = page.locator("img.content-image")

    def tell(*events: Any) -> None:
        for event in events:
            writer.handle(event)

    def place(part: float) -> tuple[float, float]:
        """On the first slider, at `part` (0..1) of its way."""
        slider.nth(0).scroll_into_view_if_needed()
        box = slider.nth(0).bounding_box()
        return box["x"] + 8 + part * (box["width"] - 16), box["y"] + box["height"] / 2

    def click(part: float) -> bool:
        page.mouse.click(*place(part))  # its keys are Visdom's
        return True

    try:
        page.goto(sink.url)
        tell(SweepStarted("held", plan, {}), *first[:11], *second[:11])
        eventually(lambda: slider.count() == 2 and slider.nth(0).get_attribute("max") == "9")
        eventually(lambda: click(0.5) and slider.nth(0).input_value() != "9")
        kept = slider.nth(0).input_value()
        assert kept in ("4", "5")
        tell(*first[11:31], *second[11:31])
        page.locator(".widget", has_text="step 30 of 40").wait_for()  # the other one has moved on
        eventually(lambda: slider.nth(0).get_attribute("max") == "29")
        assert slider.nth(0).input_value() == kept
        assert f"frame/0/{int(kept) + 1}.webp" in pictures.nth(0).get_attribute("src")
        page.mouse.move(*place(0.2))
        page.mouse.down()
        tell(*first[31:36], *second[31:36])
        page.locator(".widget", has_text="step 35 of 40").wait_for()
        page.mouse.move(*place(0.8), steps=3)
        page.mouse.up()
        assert 24 <= int(slider.nth(0).input_value()) <= 30, "it has come off the mouse"
        eventually(lambda: click(1.0) and slider.nth(0).input_value() == "34")
        tell(*first[36:41])
        page.locator(".widget", has_text="step 40 of 40").wait_for()
        assert slider.nth(0).input_value() == "39", "at its end it follows again"
    finally:
        writer.close()
        sink.close()


def test_a_studys_figures_are_shown_and_replaced(board: Server, outputs: Path, page: Any) -> None:
    pytest.importorskip("matplotlib")
    path = finished(outputs, "drawn", {"cfg": [3, 7]})
    with Archive(path) as archive:
        figure = study.plot(8, 4)
        figure.subplots().plot([1, 2, 3])
        study.keep(figure, archive, "settling")
        page.goto(show(board, path))
        shown = page.locator("img[src*='/figure/settling.png']")
        eventually(lambda: shown.evaluate("image => image.naturalWidth") > 620)
        box = shown.bounding_box()
        assert box["width"] <= 620
        natural = shown.evaluate("image => image.naturalWidth / image.naturalHeight")
        assert abs(box["width"] / box["height"] / natural - 1) < 0.03, "out of proportion"
        frame = page.locator(".window", has=shown).bounding_box()
        assert box["y"] + box["height"] <= frame["y"] + frame["height"] + 1, "cut off"
        first = shown.get_attribute("src")
        study.keep(study.plot(4, 4), archive, "settling")
        study.keep(study.plot(4, 3), archive, "strips")
    page.locator("img[src*='/figure/strips.png']").wait_for()
    eventually(lambda: shown.count() == 1 and shown.get_attribute("src") != first)


def test_text_is_shown_as_text(board: Server, outputs: Path, page: Any) -> None:
    nasty = "<img src=x onerror=alert(1)> \"'&</script>\\/ {0} ${1} 雪山 \U0001f3d4\nline two"
    fixed = {"negative": nasty, "lora": nasty, "sampler": "<b>Euler</b>"}
    axes = {"prompt": [nasty, "</div>plain"], "cfg": [1, 7]}
    path = finished(outputs, "nasty &+' 雪 \U0001f3d4", axes, **fixed)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.goto(show(board, path))
    eventually(lambda: page.locator("img.content-image").count() == 4)
    eventually(lambda: len(sheet_pictures(page)) == 4)
    about = page.locator(".content-text").first
    about.get_by_text("<b>Euler</b>").wait_for()
    assert nasty.replace("\n", " ") in " ".join(about.inner_text().split("\n"))
    assert nasty in page.locator(".sdviz .side .label span").all_text_contents()
    page.locator('.sdviz .cell[data-cell="1"] .pic').click()
    facts = page.locator(".sdviz .inspector .facts dd")
    eventually(lambda: facts.all_text_contents().count(nasty) == 3)  # prompt, negative, lora
    page.get_by_role("slider").last.wait_for()
    made = """() => [document, document.querySelector(".sdviz").shadowRoot].map(
        (root) => root.querySelectorAll("img[src='x'], [onerror]").length)"""
    assert page.evaluate(made) == [0, 0]
    assert asked == []


def test_says_what_it_leaves_out(board: Server, outputs: Path, page: Any) -> None:
    path = finished(outputs, "many", {"seed": list(range(12))}, steps=2)
    page.goto(show(board, path, max_windows=5))
    page.get_by_text("the first 5 of 12 cells").wait_for()
    eventually(lambda: page.locator("img.content-image").count() == 5)
    page.get_by_text("12/12 cells").wait_for()
