"""Archives with names of any script, and with names of sdviz's own pages, on a real Visdom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from sdviz.archive.upkeep.verify import verify
from sdviz.web.client.launch import Server, register
from tests.archive.sweeps import make_plan, write
from tests.web.board import Ask

NAMES = ("测试", "试验", "тест", "अभ्यास-१", "live", "main")
PLAN = make_plan({"cfg": [7.0, 15.0]}, width=32, height=32)


@pytest.fixture
def pages(board: Server, outputs: Path) -> dict[str, str]:
    """Name -> name on the page."""
    for name in NAMES:
        if not (outputs / name).exists():
            write(outputs, name, PLAN, reuse=False)
    return {name: register(board, outputs / name, name, 60) for name in NAMES}


def test_every_name_has_a_page_of_its_own(
    ask: Ask, board: Server, outputs: Path, pages: dict[str, str]
) -> None:
    assert len(set(pages.values())) == len(NAMES)
    assert not {"live", "main"} & set(pages.values())
    listed = {one["name"]: one for one in json.loads(ask("GET", "/sdviz/sweeps")[2])["sweeps"]}
    for name, page in pages.items():
        assert quote(page) == page, "safe in an address"
        status, _, body = ask("GET", f"/sdviz/sweep/{page}/description.json")
        assert status == 200 and json.loads(body)["name"] == name
        assert ask("GET", f"/sdviz/sweep/{page}/image/1.png")[0] == 200
        assert listed[name]["url"] == f"sweep/{page}/"
        assert list(verify(outputs / name)) == []


@pytest.mark.browser
@pytest.mark.parametrize("name", ["测试", "main"])
def test_its_page_shows_the_sweep(
    board: Server, pages: dict[str, str], page: Any, name: str
) -> None:
    page.goto(board.url(f"/env/{pages[name]}"))
    page.wait_for_function("""() => {
        const root = (document.querySelector(".sdviz") || {}).shadowRoot;
        return root && root.querySelectorAll(".cell[data-state=done]").length === 2;
    }""")
    expect(page.locator(".sdviz").get_by_text(name, exact=True).first).to_be_visible()
