"""On a Visdom that somebody else started: small pictures inside messages, and its death costs a
warning.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.ports import ask, look
from sdviz.web.client.sink import BoardSink
from tests.archive import sweeps
from tests.web.board import free_port

STOCK = """
import asyncio, sys
from sdviz.web.visdom.versions import Application, tornado_settings
async def main():
    tornado_settings["autoreload"] = False
    port, folder = int(sys.argv[1]), sys.argv[2] + "/"
    Application(port=port, env_path=folder).listen(port, "127.0.0.1")
    await asyncio.Event().wait()
asyncio.run(main())
"""


@contextlib.contextmanager
def stock_visdom(port: int, folder: Path) -> Iterator[None]:
    """Visdom's own server, without anything of ours around it."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen([sys.executable, "-c", STOCK, str(port), str(folder)]) as process:
        try:
            deadline = time.monotonic() + 30
            while look(port).kind != "visdom":
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.kill()


def windows(port: int, name: str) -> dict[str, Any]:
    return ask(port, "POST", "/win_data", {"eid": name, "win": None}) or {}


def until(port: int, name: str, *wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    while not set(wanted) <= set(found := windows(port, name)):
        assert time.monotonic() < deadline, sorted(found)
        time.sleep(0.1)
    return found


def test_shows_few_and_small_pictures(tmp_path: Path) -> None:
    port = free_port()
    plan = sweeps.make_plan({"seed": list(range(20))}, width=512, height=512, prompt="<b>x</b>")
    with stock_visdom(port, tmp_path / "envs"):
        sink = BoardSink.open(VisdomConfig(port=port), tmp_path, "foreign <b>")
        assert not sink.server.is_ours
        assert sink.url == f"http://127.0.0.1:{port}/env/foreign-b"
        assert f"visdom.port={port}: this Visdom was started by another" in sink.shortcoming
        for event in sweeps.events(plan, plan.cells[:14], "foreign <b>"):
            sink.handle(event)
        sink.close()
        found = until(port, "foreign-b", "about", "sheet", "cell-00000", "cell-00011")
    assert "cell-00012" not in found
    assert found["sheet"]["type"] == "image_history"
    assert len(found["sheet"]["content"]) in (4, 8)  # Visdom 0.3 keeps four
    assert found["cell-00000"]["content"]["src"].startswith("data:image/webp;base64,")
    assert max(found["cell-00000"]["width"], found["sheet"]["width"]) <= 1024
    assert found["cell-00000"]["width"] == 256
    assert "&lt;b&gt;" in found["about"]["content"] and "<b>x" not in found["about"]["content"]
    assert len(json.dumps(found)) < 2_000_000


def test_its_death_is_one_warning_and_everything_comes_back(
    tmp_path: Path,
) -> None:
    port = free_port()
    plan = sweeps.make_plan({"seed": [1, 2, 3, 4]})
    events = list(sweeps.events(plan, plan.cells, "mortal"))
    with stock_visdom(port, tmp_path / "one"):
        sink = BoardSink.open(VisdomConfig(port=port), tmp_path, "mortal")
        for event in events[:8]:
            sink.handle(event)
        until(port, "mortal", "about", "sheet")
    for event in events[8:15]:
        sink.handle(event)
        time.sleep(0.1)
    with stock_visdom(port, tmp_path / "two"):
        for event in events[15:]:
            sink.handle(event)
        until(port, "mortal", "about", "sheet", "cell-00000", "cell-00003")
        sink.close()
    assert [text for text in sink.take_warnings() if "does not answer" in text][1:] == []
