"""Commands of a page that no form would send: `python -m sdviz.live` answers each, and goes on."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.web.client.launch import stop
from tests.web.board import free_port
from tests.web.showing import eventually


def picture(text: str, key: str = "parameters") -> str:
    """A PNG with this text in it, as a page sends it."""
    info = PngInfo()
    info.add_text(key, text)
    Image.new("RGB", (8, 8)).save(content := io.BytesIO(), "PNG", pnginfo=info)
    return base64.b64encode(content.getvalue()).decode()


class Page:
    """What the form of a browser does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.secret = ""

    def state(self) -> dict[str, Any]:
        told: dict[str, Any] = self._ask("GET", "/sdviz/live/state")
        self.secret = told["secret"]
        return told

    def do(self, action: str, **more: Any) -> dict[str, Any]:
        told: dict[str, Any] = self._ask("POST", "/sdviz/live/do", {"action": action, **more})
        return told

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "X-Sdviz-Page": self.secret}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, json.dumps(body), headers)
            return json.loads(connection.getresponse().read())


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, _own_state: None) -> Iterator[Page]:
    pytest.importorskip("torch")
    port = free_port()
    folder = tmp_path_factory.mktemp("live")
    command = [sys.executable, "-m", "sdviz.live", f"visdom.port={port}", "steps=1"]
    process = subprocess.Popen(
        [*command, f"outputs={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Live: ")
        page = Page(port)
        eventually(lambda: page.state()["attached"])
        yield page
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        stop(port)


def broken_model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": ["StableDiffusionPipeline", 5]}')
    (folder / "unet").mkdir()
    (folder / "unet" / "config.json").write_text("[1]")
    return folder


def test_answers_whatever_a_page_sends(live: Page, tmp_path: Path) -> None:
    model = str(broken_model(tmp_path / "broken"))
    digits = "9" * 5000
    hostile: list[dict[str, Any]] = [
        {"action": "recipe", "given": text}
        for text in ("[1]", "5", "null", "{", "[" * 100_000, '{"cfg": {"a": 1}}', "", '{"init": 5}',
                     f'{{"seed": {digits}}}', '{"prompt": "\\ud800"}', '{"cfg": 1e999}')
    ]  # fmt: skip
    hostile += [
        {"action": "picture", "given": text}
        for text in ("", "é", "AAAA", picture(f"a castle\nSteps: 12, Size: {digits}x{digits}"),
                     picture(f"a\nSteps: {digits}, Seed: {digits}, CFG scale: {digits}"),
                     picture("[1]", "sdviz"), picture('{"recipe": 5}', "sdviz"),
                     picture("[" * 50_000, "sdviz"))
    ]  # fmt: skip
    for action in ("check", "run"):
        hostile += [
            {"action": action, "settings": settings}
            for settings in (
                {"model": model}, {"model": "\x00"}, {"model": "~nobody/x"}, {"seed": digits},
                {"steps": "1e999"}, {"cfg": "nan"}, {"width": "-8"}, {"further": "zip=[[" * 5000},
                {"further": "exclude='cfg>" + digits + "'"}, {"further": "zip=!!python/name:x"},
                {"further": "\ud800=1"}, {"sampler": "\ud800"}, {"prompt": "\ud800"},
                {"further": f"zip={{a: {digits}}}"}, {"further": "init=/dev/zero"},
            )
        ]  # fmt: skip
    hostile += [{"action": "remove", "job": 10**30}, {"action": "stop_now"}, {"action": "recipe"}]
    for command in hostile:
        told = live.do(**command)
        assert isinstance(told, dict), command
        assert "does not answer" not in json.dumps(told), command
    assert live.state()["attached"]
    assert live.do("check", settings={"cfg": "3,7"})["cells"] == 2
    eventually(lambda: not live.state()["state"]["queue"] and not live.state()["state"]["now"], 120)


@pytest.mark.slow
def test_goes_on_after_a_run_that_fails(live: Page, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    live.do("run", settings={"model": str(model)})
    assert "errors" not in live.do("run", settings={"cfg": "3", "steps": "1"})
    done = eventually(lambda: [job for job in live.state()["state"]["done"]], 120)
    eventually(lambda: live.state()["state"]["done"][0]["status"] == "done", 120)
    assert done
