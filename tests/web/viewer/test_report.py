"""The stand-alone report from the disk: embedded pictures, a folder, the hash, hostile text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sdviz.web.viewer import assets, cell_script
from sdviz.web.viewer import page as report_page
from tests.web.viewer import synthetic
from tests.web.viewer.screen import ROOT, drag_slider, steps

Open = Callable[..., Page]
pytestmark = pytest.mark.browser
HOSTILE = (
    '</script><img src=x onerror="document.title=\'owned\'"> "quotes" \\ / \n城堡 🏰 {0} \u2028'
)


def embedded(sweep: dict[str, Any]) -> dict[str, str]:
    found = {}
    for cell in sweep["cells"]:
        found[f"{cell['i']}/image"] = synthetic.data_uri(synthetic.final(cell["i"], 64), "png")
        for step in range(1, cell["f"] + 1):
            found[f"{cell['i']}/{step}"] = synthetic.data_uri(
                synthetic.frame(cell["i"], step, cell["f"], 64), "webp"
            )
    return found


def written(path: Path, sweep: dict[str, Any], **more: Any) -> str:
    path.write_text(report_page(json.dumps(sweep), **more), encoding="utf-8")
    return path.as_uri()


def test_one_file_works_from_the_disk(tmp_path: Path, open_page: Open) -> None:
    sweep = synthetic.description({"sampler": ["Euler a", "Heun"], "cfg": [1, 7]}, steps=6, size=64)
    sweep["urls"] = {}
    sweep["details"] = {str(i): synthetic.detail(sweep, i) for i in range(4)}
    page = open_page(written(tmp_path / "report.html", sweep, embed=embedded(sweep)))
    assert steps(page) == dict.fromkeys(range(4), 0)
    drag_slider(page, page.locator(".slider"), 2 / 6)
    assert steps(page) == dict.fromkeys(range(4), 3)
    page.keyboard.press("c")
    page.wait_for_function(f"() => {ROOT}.querySelectorAll('.figures dd').length === 3")
    page.keyboard.press("v")
    page.wait_for_selector('[data-plot="distance"] path.line')


def test_back_leads_from_a_view_to_the_one_before(tmp_path: Path, open_page: Open) -> None:
    sweep = synthetic.description({"cfg": [1, 7]}, steps=6, size=64)
    sweep["urls"] = {}
    page = open_page(written(tmp_path / "report.html", sweep, embed=embedded(sweep)))
    page.locator('.cell[data-cell="1"] .pic').click()
    page.wait_for_function("() => location.hash.includes('inspect')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => location.hash.includes('cell=0')")
    page.keyboard.press("m")
    page.go_back()
    expect(page.locator(".sheet")).to_be_visible()
    expect(page.locator('.cell.marked[data-cell="0"]')).to_be_visible()  # what was picked stays
    page.go_forward()
    expect(page.locator(".inspector h2")).to_have_text("cfg 1")
    page.evaluate("location.hash = '#view=%22curves%22'")
    expect(page.locator(".curves")).to_be_visible()


def test_state_is_in_the_hash(tmp_path: Path, open_page: Open) -> None:
    sweep = synthetic.description({"sampler": ["Euler a", "Heun"], "cfg": [1, 7]}, steps=6, size=64)
    sweep["urls"] = {}
    address = written(tmp_path / "report.html", sweep, embed=embedded(sweep))
    page = open_page(address)
    page.keyboard.press("p")
    drag_slider(page, page.locator(".slider"), 2 / 6)
    page.wait_for_function("() => location.hash.includes('at=3')")
    again = open_page(page.url)
    assert steps(again) == dict.fromkeys(range(4), 3)
    expect(again.locator(".top .label")).to_have_text(["Euler a", "Heun"])
    nonsense = open_page(
        address + "#at=%22x%22&roles=[1]&view=%22nothing%22&cell=99&zoom=null&hidden=7&%%%"
    )
    assert steps(nonsense) == dict.fromkeys(range(4), 0)


def test_a_folder_works_from_the_disk(tmp_path: Path, open_page: Open) -> None:
    sweep = synthetic.description({"cfg": [1, 7, 20]}, steps=4, size=64)
    sweep["urls"] = {"cell": "cell/{cell}.js"}
    (tmp_path / "cell").mkdir()
    for cell in sweep["cells"]:
        i = cell["i"]
        found = {
            key.split("/")[1]: uri
            for key, uri in embedded(sweep).items()
            if key.startswith(f"{i}/")
        }
        (tmp_path / "cell" / f"{i}.js").write_text(
            cell_script(synthetic.detail(sweep, i), found), encoding="utf-8"
        )
    page = open_page(written(tmp_path / "index.html", sweep))
    drag_slider(page, page.locator(".slider"), 1 / 4)
    assert steps(page) == dict.fromkeys(range(3), 2)
    page.locator('.cell[data-cell="1"] .pic').click()
    expect(page.locator(".inspector .facts").last).to_contain_text("guidance")


def test_hostile_text_is_text(tmp_path: Path, open_page: Open) -> None:
    sweep = synthetic.description({"prompt": [HOSTILE, "plain"]}, steps=2, size=64, name=HOSTILE)
    sweep["urls"] = {}
    page = open_page(written(tmp_path / "report.html", sweep, embed=embedded(sweep)))
    assert page.locator(".top .label span").first.evaluate("e => e.textContent") == HOSTILE
    assert page.locator(".name").evaluate("e => e.textContent") == HOSTILE
    page.locator('.cell[data-cell="0"] .pic').click()
    assert page.locator(".inspector .facts dd").first.evaluate("e => e.textContent") == HOSTILE
    for view in ("f", "c", "v", "t", "g"):
        page.keyboard.press(view)
        page.wait_for_timeout(80)
    assert page.title().startswith("</script>")
    assert page.evaluate("document.querySelectorAll('img').length") == 0


def test_assets_are_two_files_of_plain_text() -> None:
    files = assets()
    assert set(files) == {"viewer.js", "viewer.css"}
    script = files["viewer.js"].decode()
    assert "//" not in re.sub(r"//www\.w3\.org/2000/svg|// .*|//$", "", script, flags=re.M)
    assert "innerHTML" not in script and "eval(" not in script and "import " not in script
