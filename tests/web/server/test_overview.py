"""The list of all sweeps, which is the first thing that the server's address shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.web.client.launch import Server, register
from tests.archive import sweeps
from tests.web.board import Ask
from tests.web.visdom.test_page import eventually


def test_tells_every_sweep_in_short(board: Server, outputs: Path, ask: Ask) -> None:
    axes = {"cfg": [3.0, 7.5], "seed": list(range(12))}
    path = sweeps.write(outputs, "short", sweeps.make_plan(axes, prompt="a <b>ship</b>")).path
    register(board, path, "short", 60)
    broken = outputs / "broken"
    broken.mkdir()
    (broken / "sweep.db").write_bytes(b"no database")
    found = {one["name"]: one for one in json.loads(ask("GET", "/sdviz/sweeps")[2])["sweeps"]}
    one = found["short"]
    assert (one["status"], one["cells"], one["done"], one["failed"]) == ("finished", 24, 24, 0)
    assert one["axes"] == ["cfg 3, 7.5", "seed (12)"] and one["prompt"] == "a <b>ship</b>"
    assert ask("GET", one["page"].removeprefix(".."))[0] == 200
    assert 2 <= len(one["thumbs"]) <= 8
    for thumb in one["thumbs"]:
        status, headers, _ = ask("GET", f"/sdviz/{one['url']}{thumb}")
        assert status == 200 and headers["Content-Type"].startswith("image/")
    assert found["broken"]["status"] == "damaged" and found["broken"]["reason"]


def test_a_sweep_that_goes_on_is_told_anew(board: Server, tmp_path: Path, ask: Ask) -> None:
    plan = sweeps.make_plan({"cfg": [3, 7]})

    def told() -> dict[str, Any]:
        found = json.loads(ask("GET", "/sdviz/sweeps")[2])["sweeps"]
        return next(one for one in found if one["name"] == "going")

    writer = ArchiveWriter.open(tmp_path, "going", plan, {}, reuse=True)
    try:
        events = list(sweeps.events(plan, plan.cells, "going"))
        writer.handle(events[0])
        register(board, tmp_path / "going", "going", 60)
        eventually(lambda: told()["status"] == "running" and told()["done"] == 0)
        for event in events[1:]:
            writer.handle(event)
    finally:
        writer.close()
    eventually(lambda: told()["status"] == "finished" and told()["done"] == 2)


@pytest.mark.browser
def test_the_servers_address_leads_to_every_sweep(board: Server, outputs: Path, page: Any) -> None:
    first = sweeps.write(outputs, "first-one", sweeps.make_plan({"cfg": [3, 7]}, width=64))
    register(board, first.path, "first-one", 60)
    page.goto(board.url("/"))
    row = page.locator("li", has_text="first-one")
    row.wait_for()
    page.get_by_text("python -m sdviz.live runs sweeps").wait_for()
    eventually(lambda: row.locator("img").evaluate_all("all => all.every(i => i.naturalWidth)"))
    # One that comes later appears by itself.
    later = sweeps.write(outputs, "later-one", sweeps.make_plan({"sampler": ["Heun", "DDIM"]}))
    register(board, later.path, "later-one", 60)
    page.locator("li", has_text="later-one").wait_for()
    page.get_by_role("searchbox").fill("heun later")
    eventually(lambda: page.locator("li .name").all_inner_texts() == ["later-one"])
    page.locator('a.name[href$="/env/later-one"]').click()  # its page is known within two seconds
    page.wait_for_url("**/env/later-one")
    page.get_by_role("link", name="All sweeps", exact=True).click()
    page.wait_for_url("**/sdviz/")
    row.wait_for()
    row.get_by_role("link", name="sheet alone").click()
    page.wait_for_url("**/sdviz/sweep/first-one/")
    page.get_by_role("link", name="all sweeps", exact=True).click()
    page.wait_for_url("**/sdviz/")
