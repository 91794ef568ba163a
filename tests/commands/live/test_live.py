"""The control pane: the server between pages and the live process, and the whole with a real
model.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdviz.web.client.launch import Server, register
from sdviz.web.client.ports import ask as ask_board
from tests.archive import sweeps
from tests.web.board import Ask
from tests.web.visdom.test_page import SLIDER, eventually, sheet_pictures

STATE = {
    "settings": {"prompt": "a red pyramid", "cfg": "7"},
    "choices": {"sampler": ["Euler a", "DDIM"]},
    "queue": [],
    "done": [],
    "now": None,
    "page": "",
}


class Process:
    """Stands for `python -m sdviz.live`: tells its state, and answers every command by `reply`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.heard: list[dict[str, Any]] = []
        self.reply: dict[str, Any] = {}
        self._leaving = False
        self.tell(STATE)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def tell(self, state: dict[str, Any]) -> None:
        self._post("tell", state)

    def _post(self, what: str, body: Any) -> Any:
        path = f"/sdviz/live/{what}"
        return ask_board(self.server.port, "POST", path, body, token=self.server.token, timeout=30)

    def _listen(self) -> None:
        while not self._leaving:
            told = self._post("commands", {})
            for command in (told or {}).get("commands", []):
                self.heard.append(command)
                self._post("answer", {"id": command["id"], "answer": self.reply})

    def leave(self) -> None:
        self._leaving = True
        self.tell({})  # ends the long poll
        self._thread.join(30)


def do(ask: Ask, secret: str, body: Any, **headers: str) -> tuple[int, Any]:
    headers = {"Content_Type": "application/json", "X_Sdviz_Page": secret, **headers}
    status, _, answer = ask("POST", "/sdviz/live/do", body, **headers)
    return status, answer


@pytest.fixture
def process(board: Server, ask: Ask) -> Iterator[Process]:
    process = Process(board)
    eventually(lambda: json.loads(ask("GET", "/sdviz/live/state")[2])["attached"])
    yield process
    process.leave()


def test_a_pages_command_reaches_the_process_and_its_answer_the_page(
    ask: Ask, process: Process
) -> None:
    told = json.loads(ask("GET", "/sdviz/live/state")[2])
    assert told["state"] == STATE
    process.reply = {"errors": {"cfg": "cfg=x: not a number"}}
    command = {"action": "run", "settings": {"cfg": "x"}}
    status, answer = do(ask, told["secret"], command)
    assert (status, json.loads(answer)) == (200, process.reply)
    assert process.heard[-1] | command == process.heard[-1]


def test_another_site_can_neither_steer_nor_read(ask: Ask, process: Process) -> None:
    secret = json.loads(ask("GET", "/sdviz/live/state")[2])["secret"]
    run = {"action": "run", "settings": {}}
    assert do(ask, secret, run, Origin="http://evil.example")[0] == 403
    assert do(ask, "guess", run)[0] == 403
    assert do(ask, secret, run, Content_Type="text/plain")[0] == 415
    assert do(ask, secret, {"action": "rm"})[0] == 400
    assert do(ask, secret, ["run"])[0] == 400
    assert ask("GET", "/sdviz/live/state", Origin="http://evil.example")[0] == 403
    for path in ("tell", "commands", "answer"):
        assert ask("POST", f"/sdviz/live/{path}", {})[0] == 403
    assert process.heard == []


def test_without_a_process_the_page_says_so(ask: Ask) -> None:
    told = json.loads(ask("GET", "/sdviz/live/state")[2])
    assert told["attached"] is False
    _, answer = do(ask, told["secret"], {"action": "run"})
    assert "sdviz.live is not running" in json.loads(answer)["errors"][""]


@pytest.mark.browser
def test_two_browsers_see_the_same(board: Server, process: Process, page: Any) -> None:
    other = page.context.browser.new_page()
    url = board.url("/env/live")
    for tab in (page, other):
        tab.goto(url)
        tab.get_by_label("CFG scale").wait_for()
        eventually(lambda tab=tab: tab.get_by_label("CFG scale").input_value() == "7")
    process.reply = {"cells": 3, "evaluations": 120}
    page.get_by_label("CFG scale").fill("7,15,20")
    page.get_by_role("button", name="Run").click()
    page.get_by_text("3 cells, 120 evaluations").wait_for()
    heard = [command for command in process.heard if command["action"] == "run"]
    assert heard[0]["settings"]["cfg"] == "7,15,20"
    job = {"job": 1, "text": "cfg (3)", "page": "", "cells": 3, "done": 1, "stopping": ""}
    waiting = {**job, "job": 2, "text": "<b>steps</b> (2)"}
    settings = {**STATE["settings"], "cfg": "7,15,20"}  # type: ignore[dict-item]
    process.tell({**STATE, "settings": settings, "now": job, "queue": [waiting]})
    for tab in (page, other):
        tab.get_by_text("1 of 3 cells").wait_for()
        tab.get_by_text("<b>steps</b> (2)").wait_for()
    assert other.get_by_label("CFG scale").input_value() == "7,15,20"
    other.get_by_role("button", name="Stop after this cell").click()
    eventually(lambda: process.heard[-1]["action"] == "stop_after")
    page.get_by_role("button", name="Remove").click()
    eventually(lambda: process.heard[-1]["action"] == "remove" and process.heard[-1]["job"] == 2)
    other.close()


@pytest.mark.browser
def test_errors_stand_beside_their_fields(board: Server, process: Process, page: Any) -> None:
    page.goto(board.url("/env/live"))
    field = page.get_by_label("Sampler")
    process.reply = {"errors": {"sampler": "sampler=Eula: <i>no</i> such sampler", "": "no disk"}}
    field.fill("Eula")
    page.get_by_text("sampler=Eula: <i>no</i> such sampler").wait_for()
    page.get_by_text("no disk").wait_for()
    assert field.get_attribute("aria-invalid") == "true"
    process.reply = {"cells": 1, "evaluations": 40}
    field.fill("Euler a")
    page.get_by_text("1 cell, 40 evaluations").wait_for()
    assert field.get_attribute("aria-invalid") == "false"


@pytest.mark.browser
@pytest.mark.slow
def test_steers_a_real_model(port: int, tmp_path: Path, page: Any) -> None:
    pytest.importorskip("torch")
    command = [
        sys.executable,
        "-m",
        "sdviz.live",
        f"visdom.port={port}",
        f"outputs={tmp_path}",
    ]
    live = subprocess.Popen(
        [*command, "steps=3", "engine.batch=2"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert live.stdout is not None
        assert live.stdout.readline().startswith(f"Live: http://127.0.0.1:{port}/env/live")
        page.goto(f"http://127.0.0.1:{port}/env/live")
        page.get_by_label("CFG scale").fill("3,x")
        page.get_by_text("`x` is not a number").wait_for()
        page.get_by_label("CFG scale").fill("1,7")
        page.get_by_label("Prompt", exact=True).fill("a red pyramid in the desert")
        page.get_by_role("button", name="Run").click()
        page.get_by_text("done", exact=True).wait_for(timeout=90_000)
        eventually(lambda: len(sheet_pictures(page)) == 2, 20)
        page.get_by_role("slider", name=SLIDER).wait_for()
        page.get_by_label("Seed").fill("range(0,60)")
        page.get_by_role("button", name="Run").click()
        page.get_by_text(" of 120 cells").wait_for(timeout=30_000)
        page.get_by_role("button", name="Stop now").click()
        page.get_by_text("stopped", exact=True).wait_for(timeout=30_000)
        live.send_signal(signal.SIGINT)
        assert live.wait(30) == 0
        page.get_by_text("python -m sdviz.live is not running").wait_for()
    finally:
        live.kill()
        live.wait()
        assert live.stdout is not None
        live.stdout.close()
    archives = sorted(path.name for path in tmp_path.iterdir() if (path / "sweep.db").exists())
    assert len(archives) == 2


@pytest.mark.browser
def test_a_cell_fills_the_form(board: Server, process: Process, outputs: Path, page: Any) -> None:
    plan = sweeps.make_plan({"cfg": [3, 7]}, seed=5, prompt="a <red> pyramid, snow", tiling=True)
    path = sweeps.write(outputs, "again", plan).path
    process.reply = {"cells": 4, "evaluations": 24, "settings": {"further": "tiling=true"}}
    page.goto(board.url(f"/env/{register(board, path, 'again', 60)}"))
    page.locator(".sdviz .sheet img").nth(1).click()
    page.get_by_role("button", name="More seeds like this").click()
    page.wait_for_url("**/env/live")
    page.get_by_text("4 cells, 24 evaluations").wait_for()
    assert page.get_by_label("Seed").input_value() == "6,7,8,9"
    assert page.get_by_label("CFG scale").input_value() == "7"
    assert page.get_by_label("Prompt", exact=True).input_value() == "a <red> pyramid, snow"
    assert page.get_by_label("Further settings").input_value() == "tiling=true"
    asked = next(told for told in process.heard if told["action"] == "recipe")
    assert json.loads(asked["given"])["tiling"] is True
    assert process.heard[-1]["settings"]["further"] == "tiling=true"


@pytest.mark.browser
def test_a_picture_dropped_on_the_form_fills_it(
    board: Server, process: Process, tmp_path: Path, page: Any
) -> None:
    page.goto(board.url("/env/live"))
    page.get_by_label("CFG scale").wait_for()
    settings = {"prompt": "a ship", "cfg": "4.5", "further": "clip_skip=2"}
    process.reply = {"settings": settings, "warnings": ["ignored: Refiner: x"]}
    (tmp_path / "ship.png").write_bytes(b"the bytes of a picture")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Settings of a picture").click()
    chooser.value.set_files(tmp_path / "ship.png")
    eventually(lambda: page.get_by_label("Further settings").input_value() == "clip_skip=2")
    assert page.get_by_label("CFG scale").input_value() == "4.5"
    page.get_by_text("ignored: Refiner: x").wait_for()
    process.reply = {"errors": {"": "no recipe in it"}}
    page.locator(".sdviz-live form").evaluate(
        """form => {
            const files = new DataTransfer();
            files.items.add(new File(["dropped"], "other.png", { type: "image/png" }));
            form.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
        }"""
    )
    page.get_by_text("no recipe in it").wait_for()
    given = [base64.b64decode(one["given"]) for one in process.heard if one["action"] == "picture"]
    assert given == [b"the bytes of a picture", b"dropped"]
