"""A page whose server goes away and comes back, and a page of many cells."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, stop
from sdviz.web.client.ports import ask as ask_board
from sdviz.web.client.sink import BoardSink
from tests.archive import sweeps
from tests.web.showing import SLIDER, eventually, finished, sheet_pictures, show

pytestmark = pytest.mark.browser


def test_comes_back_when_visdom_does(port: int, outputs: Path, page: Any) -> None:
    config = VisdomConfig(port=port)
    path = finished(outputs, "reborn", {"cfg": [3, 7]})
    page.goto(show(ensure(config), path))
    eventually(lambda: page.locator("img.content-image").count() == 2)
    stop(port)
    page.get_by_text("offline").wait_for()
    ensure(config)
    page.get_by_text("online").wait_for(timeout=10_000)
    eventually(lambda: page.locator("img.content-image").count() == 2)
    page.reload()
    eventually(lambda: page.locator("img.content-image").count() == 2)
    eventually(lambda: len(sheet_pictures(page)) == 2)
    page.problems[:] = [p for p in page.problems if "ERR_CONNECTION" not in p and "ocket" not in p]


def test_an_open_page_of_a_running_sweep_outlives_its_server(
    port: int, outputs: Path, page: Any
) -> None:
    config = VisdomConfig(port=port)
    plan = sweeps.make_plan({"cfg": [3, 7]}, steps=10, width=64, height=64)
    writer = ArchiveWriter.open(outputs, "outlived", plan, {}, reuse=False)
    sink = BoardSink.open(config, writer.path, "outlived")
    events = list(sweeps.events(plan, writer.todo, "outlived"))
    half = 8  # start, and six frames of the first cell
    try:
        page.goto(sink.url)
        for event in events[:half]:
            writer.handle(event)
        page.locator(".widget", has_text="step 6 of 10").wait_for()
        os.kill(ask_board(port, "GET", "/sdviz/health")["pid"], signal.SIGKILL)
        page.get_by_text("offline").wait_for()
        for event in events[half:]:
            writer.handle(event)
    finally:
        writer.close()
        sink.close()
    ensure(config)  # somebody starts Visdom again; nobody touches the page
    eventually(lambda: page.locator(".widget", has_text="final image").count() == 2)
    eventually(lambda: page.get_by_text("2 of 2 cells").count() == 1)
    eventually(lambda: page.get_by_text("2/2 cells").count() == 1)
    slider = page.get_by_role("slider", name=SLIDER)
    slider.fill("3")
    shown = page.locator(".sdviz .sheet img[data-step='4']")
    eventually(lambda: shown.count() == 2)
    assert not list(verify(writer.path))
    assert [Archive(writer.path).steps(i) for i in (0, 1)] == [list(range(1, 11))] * 2
    page.problems[:] = [p for p in page.problems if "ERR_" not in p and "ocket" not in p]


@pytest.mark.slow
def test_200_cells_of_50_frames_open_and_their_slider_moves_them(
    board: Server, outputs: Path, page: Any
) -> None:
    axes = {"cfg": list(range(1, 21)), "seed": list(range(10))}
    path = finished(outputs, "large", axes, steps=50, width=32, height=32)
    url = show(board, path)
    page.goto(url)
    eventually(lambda: len(sheet_pictures(page)) >= 40, 30)
    slider = page.get_by_role("slider", name=SLIDER)
    slider.focus()
    before = sheet_pictures(page)[0]
    slider.press("Home")
    eventually(lambda: sheet_pictures(page)[0] != before)
