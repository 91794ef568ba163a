"""What the server hands out of archives."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import time
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.pictures import inset
from sdviz.web.client.launch import Server, register
from sdviz.web.client.state import BoardState, page_name
from sdviz.web.server.registry import Registry
from tests.archive import sweeps
from tests.web.board import Ask


@pytest.fixture(scope="module")
def archive(outputs: Path) -> Path:
    return sweeps.write(outputs, "routes", sweeps.make_plan({"cfg": [3, 7]}, width=64)).path


@pytest.fixture
def figures(archive: Path) -> Path:
    """One figure, and what must not be taken for one."""
    folder = archive / "figures"
    folder.mkdir(exist_ok=True)
    for name in ("settling", ".hidden"):
        Image.new("RGB", (310, 155), "white").save(folder / f"{name}.png")
    (folder / "text.png").write_text("no picture")
    if not (folder / "linked.png").is_symlink():
        (folder / "linked.png").symlink_to(folder / "settling.png")
    return folder


@pytest.fixture
def home(board: Server, archive: Path) -> str:
    return f"/sdviz/sweep/{register(board, archive, 'routes', 60)}"


def test_pictures_equal_the_archives(ask: Ask, home: str, archive: Path) -> None:
    with Archive(archive) as opened:
        status, headers, body = ask("GET", f"{home}/frame/1/2.webp?v=x")
        assert (status, headers["Content-Type"]) == (200, "image/webp")
        assert "immutable" in headers["Cache-Control"]
        assert body == opened.frame_bytes(1, 2)
        status, headers, body = ask("GET", f"{home}/image/1.png")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert body == opened.image_path(1).read_bytes()


def test_figures_of_studies(ask: Ask, home: str, figures: Path) -> None:
    status, headers, body = ask("GET", f"{home}/figure/settling.png?v=1")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert "immutable" in headers["Cache-Control"]
    assert body == (figures / "settling.png").read_bytes()
    told = json.loads(ask("GET", f"{home}/description.json")[2])["figures"]
    (source,) = (figure["src"] for figure in told if figure["name"] == "settling")
    assert ask("GET", f"{home}/{source}")[2] == body, "for the sheet's own tab"


def test_describes_the_sweep_with_addresses_that_work(ask: Ask, home: str) -> None:
    described = json.loads(ask("GET", f"{home}/description.json")[2])
    assert [cell["s"] for cell in described["cells"]] == ["done", "done"]
    fill = {"cell": 0, "step": 1, "pairs": "0.1,1.0", "size": "small", "cells": "0,1"}
    for kind, template in described["urls"].items():
        if kind != "live":
            address = urljoin(f"{home}/", template.format(**fill))
            assert ask("GET", address)[0] == 200, kind


def test_packs_many_pictures_in_one_answer(ask: Ask, home: str) -> None:
    body = ask("GET", f"{home}/pack?f=0.1,1.3,9.1,1.0")[2]
    found = {}
    while body:
        cell, step, length = struct.unpack("<3I", body[:12])
        found[cell, step] = Image.open(io.BytesIO(body[12 : 12 + length])).size
        body = body[12 + length :]
    assert found == {(0, 1): (64, 16), (1, 3): (64, 16), (1, 0): (64, 16)}
    for bad in ("x", "1", "1.2.3", "-1.2", ",".join(["0.1"] * 300)):
        assert ask("GET", f"{home}/pack?f={bad}")[0] == 400, bad


@pytest.mark.parametrize("age", ["new", "older"])
def test_packs_large_frames_small_for_sheets(
    ask: Ask, board: Server, outputs: Path, monkeypatch: pytest.MonkeyPatch, age: str
) -> None:
    plan = sweeps.make_plan({"cfg": [3, 7]}, width=1024, height=768)
    if age == "older":  # its pictures have no small form within
        monkeypatch.setattr(inset, "is_large", lambda size: False)
    path = sweeps.write(outputs, f"large-{age}", plan, reuse=False).path
    home = f"/sdviz/sweep/{register(board, path, path.name, 60)}"
    sizes = {}
    for size in ("small", "small", "full"):  # the second time as it was made the first
        body = ask("GET", f"{home}/pack?size={size}&f=0.1,1.2,1.0")[2]
        while body:
            cell, step, length = struct.unpack("<3I", body[:12])
            image = Image.open(io.BytesIO(body[12 : 12 + length]))
            sizes[size, cell, step] = image.size
            shown = sweeps.picture(plan.cells[cell], step or plan.cells[cell].recipe.steps)
            assert np.abs(shown.mean((0, 1)) - np.asarray(image).mean((0, 1))).max() < 2
            body = body[12 + length :]
    assert sizes == {
        ("small", 0, 1): (384, 288), ("small", 1, 2): (384, 288), ("small", 1, 0): (384, 288),
        ("full", 0, 1): (1024, 768), ("full", 1, 2): (1024, 768), ("full", 1, 0): (384, 288),
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/sdviz/sweep/../../etc/passwd",
        "/sdviz/sweep/routes/../../../sweep.db",
        "/sdviz/sweep/routes/image/..%2f..%2fsweep.db",
        "/sdviz/sweep/routes/sweep.db",
        "/sdviz/sweep/unknown/description.json",
        "/sdviz/sweep/routes/frame/99/1.webp",
        "/sdviz/sweep/routes/frame/0/99.webp",
        "/sdviz/sweep/routes/frame/99999999999999999999999/1.webp",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/sdviz/sweep/routes/figure/none.png",
        "/sdviz/sweep/routes/figure/linked.png",
        "/sdviz/sweep/routes/figure/text.png",
        "/sdviz/sweep/routes/figure/../sweep.png",
        "/sdviz/sweep/routes/figure/..%2fimages%2f0000-cfg=3.png",
        "/sdviz/sweep/routes/figure/.hidden.png",
        "/sdviz/nothing",
    ],
)
def test_what_is_not_there_is_404(ask: Ask, home: str, figures: Path, path: str) -> None:
    status, _, body = ask("GET", path)
    assert status == 404
    assert b"Traceback" not in body and b"SQLite" not in body


def test_a_long_poll_answers_when_something_happens(ask: Ask, board: Server, outputs: Path) -> None:
    plan = sweeps.make_plan({"cfg": [3, 7]})
    writer = ArchiveWriter.open(outputs, "polled", plan, {"name": "polled"}, reuse=False)
    name = register(board, writer.path, "polled", 60)
    events = list(sweeps.events(plan, writer.todo, "polled"))
    seen: list[tuple[float, dict[str, object]]] = []
    try:
        writer.handle(events[0])
        time.sleep(0.5)
        since = json.loads(ask("GET", f"/sdviz/sweep/{name}/description.json")[2])["seq"]

        def poll() -> None:
            changes: dict[str, object] = {"seq": since}
            while not changes.get("cells"):  # the begin of the sweep may be told apart
                body = ask("GET", f"/sdviz/sweep/{name}/live?since={changes['seq']}")[2]
                changes = json.loads(body)
            seen.append((time.monotonic(), changes))

        thread = threading.Thread(target=poll)
        thread.start()
        time.sleep(0.5)
        assert seen == []
        began = time.monotonic()
        for event in events[1:5]:
            writer.handle(event)
        thread.join(15)
    finally:
        writer.close()
    ((when, changes),) = seen
    assert when - began < 10  # without an event it answers after 20 s
    assert [cell["i"] for cell in changes["cells"]] == [0]  # type: ignore[attr-defined]


def test_lists_the_archives_beside_a_known_one(ask: Ask, home: str, outputs: Path) -> None:
    sweeps.write(outputs, "beside", sweeps.make_plan({"cfg": [3]}))
    found = {s["name"]: s["url"] for s in json.loads(ask("GET", "/sdviz/sweeps")[2])["sweeps"]}
    assert {"routes", "beside"} <= set(found)
    status, headers, body = ask("GET", f"/sdviz/{found['beside']}")
    assert status == 200 and "text/html" in headers["Content-Type"]
    assert b'data-src="description.json"' in body


def test_a_name_is_fit_for_visdom() -> None:
    assert page_name("DPM++ 2M\n cfg=7") == "DPM-2M-cfg-7"
    assert len(page_name("x" * 300)) == len(page_name("雪" + "x" * 300)) == 100
    names = [page_name(name) for name in ("雪山", "测试", "DPM++ 2M/雪\n山 cfg=7")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)
    assert names[0].startswith("sweep-") and names[2].startswith("DPM-2M-cfg-7-")
    assert len({*names, page_name("试验")}) == 4, "a page each"


@pytest.mark.parametrize("name", ["live", "main", "Main", ".live-"])
def test_the_pages_of_sdviz_itself_are_no_sweeps(name: str) -> None:
    assert page_name(name).lower() not in ("live", "main")
    assert page_name("live2") == "live2" and page_name("maintain") == "maintain"


def test_names_tell_two_folders_apart(tmp_path: Path) -> None:
    state = BoardState(tmp_path)
    registry = Registry(state)
    for outputs in ("one", "two"):
        (tmp_path / outputs / "cfg-3").mkdir(parents=True)
        (tmp_path / outputs / "cfg-3" / "sweep.db").touch()
    names = [registry.add(tmp_path / outputs / "cfg-3", "cfg-3") for outputs in ("one", "two")]
    assert names == ["cfg-3", "cfg-3-2"]
    assert registry.add(tmp_path / "one" / "cfg-3", "other") == "cfg-3"
    assert sorted(Registry(state).pages(10)) == names
    (tmp_path / "one" / "cfg-3" / "sweep.db").unlink()  # its name is free
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "sweep.db").touch()
    assert registry.add(tmp_path / "three", "cfg-3") == "cfg-3"
    assert registry.add(tmp_path / "one" / "cfg-3", "cfg-3") == "cfg-3-3"
