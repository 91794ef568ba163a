"""The report of a real archive, opened from the disk in Chromium, with no network."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect

from sdviz.archive.reader import Archive
from sdviz.web.report import write_file, write_folder
from tests.archive.sweeps import make_plan, write
from tests.web.viewer.screen import steps

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"> 红色"


@pytest.fixture(scope="module")
def browser(browsers: Playwright) -> Iterator[Browser]:
    chromium = browsers.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
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


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[[Path], Page]]:
    """Opens a file with no network; at the end, nothing may have gone wrong on its page."""
    troubles: list[str] = []
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 800})

    def open_page(path: Path) -> Page:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda failed: troubles.append(failed.url[:200]))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.goto(path.as_uri())
        page.wait_for_selector(".cell img")
        return page

    yield open_page
    context.close()
    assert not troubles


def written(archive: Archive, folder: Path, kind: str) -> Path:
    """The report's page, of one of both kinds."""
    folder.mkdir(exist_ok=True)
    if kind == "file":
        write_file(archive, archive.cells, folder / "report.html")
        return folder / "report.html"
    write_folder(archive, archive.cells, folder / "report")
    return folder / "report" / "index.html"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_report_shows_every_cell_and_its_frames(
    opened: Callable[[Path], Page], archive: Archive, tmp_path: Path, kind: str
) -> None:
    page = opened(written(archive, tmp_path, kind))
    assert steps(page) == dict.fromkeys(range(4), 0), "all show their final image"
    page.locator(".slider").first.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(100)
    assert set(steps(page).values()) == {1}, "one slider moves them all"
    assert page.title() != "owned"
    expect(page.locator(".head .prompt")).to_have_text(HOSTILE)
    expect(page.locator(".corner")).to_have_text("cfg ↓sampler →")
    page.locator(".cell").first.click()
    expect(page.locator(".inspector dt", has_text="seed").first).to_be_visible()
    expect(page.get_by_text("hires_scale")).to_be_hidden()
    page.get_by_text("other settings (defaults)").click()
    expect(page.get_by_text("hires_scale")).to_be_visible()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_inspected_is_the_picture_itself(
    opened: Callable[[Path], Page], archive: Archive, tmp_path: Path, kind: str
) -> None:
    page = opened(written(archive, tmp_path, kind))
    page.locator(".cell").nth(2).click()
    lossless = page.locator('.inspector img[src^="data:image/png"]')
    expect(lossless.first).to_be_visible()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_study_has_drawn_is_on_its_tab(
    opened: Callable[[Path], Page], archive: Archive, tmp_path: Path, kind: str
) -> None:
    page = opened(written(archive, tmp_path / "without", kind))
    expect(page.get_by_role("tab", name="Figures")).to_be_hidden()
    root = Path(shutil.copytree(archive.path, tmp_path / "a"))
    (root / "figures").mkdir()
    Image.new("RGB", (300, 200), "red").save(root / "figures" / "burning.png")
    (root / "figures" / "broken.png").write_bytes(b"<script>")
    with Archive(root) as studied:
        page = opened(written(studied, tmp_path / "with", kind))
    page.get_by_role("tab", name="Figures").click()
    drawn = page.locator(".drawn img")
    expect(drawn).to_have_count(1)
    assert drawn.get_attribute("alt") == "burning"
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") == 300


def test_a_large_report_reads_what_is_in_view_and_no_more(
    opened: Callable[[Path], Page], tmp_path: Path
) -> None:
    plan = make_plan({"seed": list(range(40)), "cfg": [float(n) for n in range(1, 26)]}, steps=1)
    write(tmp_path, "large", plan, reuse=False)
    with Archive(tmp_path / "large") as large:
        write_folder(large, large.cells, tmp_path / "report")
    page = opened(tmp_path / "report" / "index.html")
    read: set[str] = set()
    page.on("request", lambda request: read.add(request.url))
    everywhere = set(steps(page))
    page.locator(".sheet").evaluate("sheet => sheet.scrollTo(1e6, 1e6)")
    page.locator(".slider").first.focus()
    page.keyboard.press("Home")
    page.wait_for_function("""() => {
        const root = document.querySelector(".sdviz").shadowRoot;
        const images = [...root.querySelectorAll(".cell img")];
        const last = root.querySelector('.cell[data-cell="999"] img');
        return last && images.every((image) => image.dataset.step === "1");
    }""")
    at_the_end = steps(page)
    assert set(at_the_end.values()) == {1}
    assert max(at_the_end) == 999 and not set(at_the_end) <= everywhere
    assert page.locator(".cell").count() < 500, "only what is near the view has elements"
    assert 0 < len(read) < 500, "only what is near the view is read"
    for _ in range(12):
        page.keyboard.press(")")  # larger than the thumbnails inside the page
    page.keyboard.press("End")
    whole = page.locator('.cell img[src^="data:image/png"]')
    expect(whole.first).to_be_visible(timeout=30_000)


STRANGER = """
UPDATE cell SET notes=json_array('{html}'), reason='{html}', source='{html}';
UPDATE cell SET status='failed' WHERE i=1;
UPDATE cell SET key='{html}' WHERE i=2;
UPDATE cell SET timings=json_set(timings, '$.{html}', 1) WHERE i=2;
UPDATE cell SET recipe=json_set(recipe, '$.sampler', '{html}', '$.{html}', '{html}');
UPDATE axis SET "values"=json_array(json_array('{html}'), json_array('javascript:alert(1)'))
WHERE position=1;
UPDATE schedule SET sampler='{html}';
INSERT INTO event VALUES (900, 'note', NULL, json_object('kind', '{html}', 'text', '{html}'), 9);
INSERT INTO event VALUES (901, 'cell_scored', 0,
    json_object('scores', json_object('{html}', 1.5), 'caption', '{html}'), 9);
UPDATE sweep SET value=json_quote('{html}') WHERE key IN ('name', 'created');
UPDATE sweep SET value=json_object('{html}', '{html}') WHERE key IN ('machine', 'versions');
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_strangers_strings_are_text_in_every_view(
    opened: Callable[[Path], Page], archive: Archive, tmp_path: Path, kind: str
) -> None:
    root = Path(shutil.copytree(archive.path, tmp_path / "a"))
    html = '"></script></style><img src=x onerror=alert(1)><svg onload=alert(2)>${alert(3)}'
    with sqlite3.connect(root / "sweep.db") as db:
        db.executescript(
            STRANGER.replace("$.{html}", '$."<img src=x onerror=alert(1)>"').replace("{html}", html)
        )
    db.close()
    with Archive(root) as hostile:
        page = opened(written(hostile, tmp_path, kind))
    shown = steps(page)
    assert {0, 2, 3} <= set(shown), "what is whole is shown"
    for cell in (0, 1, 2):
        page.locator(f'.cell[data-cell="{cell}"]').click()
        page.keyboard.press("Escape")
    for view in ("Film strips", "Compare", "Curves", "Timings", "Sheet"):
        page.get_by_role("tab", name=view).or_(page.get_by_role("button", name=view)).first.click()
        page.wait_for_timeout(100)
    inside = page.evaluate("""() => {
        const root = document.querySelector(".sdviz").shadowRoot;
        return root.querySelectorAll('img[src="x"], [onerror], [onload], script').length;
    }""")
    assert inside == 0
    assert page.evaluate("document.querySelectorAll('img, svg').length") == 0
