"""The report of a real archive, opened from the disk in Chromium, with no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from sdviz.archive.reader import Archive
from sdviz.archive.report import write_file, write_folder
from tests.archive.sweeps import make_plan, write
from tests.viewer.screen import steps

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"> 红色"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("outputs")
    plan = make_plan(
        {"cfg": [7.0, 15.0], "sampler": ["Euler a", "Heun"]}, width=64, height=64, prompt=HOSTILE
    )
    write(folder, "a", plan)
    return Archive(folder / "a")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_report_shows_every_cell_and_its_frames(
    browser: Browser, archive: Archive, tmp_path: Path, kind: str
) -> None:
    if kind == "file":
        page_file = tmp_path / "report.html"
        write_file(archive, archive.cells, page_file)
    else:
        write_folder(archive, archive.cells, tmp_path / "report")
        page_file = tmp_path / "report" / "index.html"
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("requestfailed", lambda failed: troubles.append(failed.url[:200]))
    page.goto(page_file.as_uri())
    page.wait_for_selector(".cell img")
    assert steps(page) == dict.fromkeys(range(4), 0), "all show their final image"
    page.locator(".slider").first.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(100)
    assert set(steps(page).values()) == {1}, "one slider moves them all"
    assert page.title() != "owned"
    assert not troubles
    context.close()
