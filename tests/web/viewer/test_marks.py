"""Marked cells, and one cell, become the command that computes exactly them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sdviz.request.compose import prepare
from tests.web.viewer import synthetic
from tests.web.viewer.screen import press
from tests.web.viewer.server import Sweeps
from tests.web.viewer.synthetic import SAMPLERS

Open = Callable[..., Page]
pytestmark = pytest.mark.browser


def test_marked_cells_become_a_command(sweeps: Sweeps, open_page: Open, tmp_path: Path) -> None:
    prompt = 'a castle, "sunset", it\'s $HOME `id`\n城堡'
    described = synthetic.description({"cfg": [1, 7, 20]})
    described["fixed"]["prompt"] = prompt
    page = open_page(sweeps.add("marked", described))
    mark(page, 0, 2)
    page.get_by_role("button", name="2 marked").click()
    words = shlex.split(page.get_by_label("Command").input_value())
    assert words[:3] == ["python", "-m", "sdviz.sweep"]
    assert "cfg=1,20" in words and "sampler=Euler a" in words and "seed=42" in words
    assert f"prompt={prompt}" in words
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    download.value.save_as(tmp_path / "marked.json")
    told = json.loads((tmp_path / "marked.json").read_text(encoding="utf-8"))
    assert [cell["recipe"]["cfg"] for cell in told["cells"]] == [1, 20]
    assert told["cells"][0]["recipe"]["prompt"] == prompt


def mark(page: Page, *cells: int) -> None:
    for cell in cells:
        page.locator(f'.cell[data-cell="{cell}"] .pic').hover()
        page.keyboard.press("m")
        page.wait_for_selector(f'.cell.marked[data-cell="{cell}"]')


def ran(command: str) -> list[dict[str, Any]]:
    """The recipes that this command would compute."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "sdviz.sweep"]
    return [asdict(cell.recipe) for cell in prepare(words[3:]).plan.cells]


def test_the_command_computes_exactly_the_marked_cells(sweeps: Sweeps, open_page: Open) -> None:
    prompts = ['"a castle", by night', "['a house']", "a lake\\n, with \\\\(trees\\\\)"]
    described = synthetic.description(
        {"prompt": prompts, "cfg": [1, 7.5], "sampler": SAMPLERS, "eta": [None, 0.5]}
    )
    described["fixed"] |= {"tiling": False, "lora": "", "negative": "null"}
    described["quiet"] = ["tiling", "lora"]
    wanted = [0, 7, 17, 29]
    page = open_page(sweeps.add("exactly", described))
    page.locator(".app").evaluate("(app, marks) => app.sdvizApp.set({ marks })", wanted)
    press(page, "e")
    command = page.get_by_label("Command").input_value()
    assert "tiling" not in command and "lora" not in command
    settings = ("prompt", "cfg", "sampler", "eta", "steps", "negative")
    recipes = [described["fixed"] | described["cells"][cell]["r"] for cell in wanted]
    assert [tuple(recipe[name] for name in settings) for recipe in ran(command)] == [
        tuple(recipe[name] for name in settings) for recipe in recipes
    ]


def test_one_cell_says_the_command_that_computes_it(grid: str, open_page: Open) -> None:
    page = open_page(grid)
    page.locator('.cell[data-cell="5"] .pic').click()
    page.get_by_role("button", name="Command").click()
    expect(page.locator("dialog.marks h2")).to_have_text("sampler DPM++ 2M Karras · cfg 20")
    (recipe,) = ran(page.get_by_label("Command").input_value())
    assert (recipe["sampler"], recipe["cfg"]) == ("DPM++ 2M Karras", 20)
