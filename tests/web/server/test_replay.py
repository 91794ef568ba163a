"""`python -m sdviz.archive replay`: the sweep denoises once more, on a page of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sdviz.archive.reader import Archive
from sdviz.web.client.launch import Server
from tests.archive.sweeps import make_plan, write
from tests.web.viewer.screen import steps

pytestmark = pytest.mark.browser


def test_a_finished_sweep_denoises_again_on_its_page(
    board: Server, tmp_path: Path, page: Any
) -> None:
    plan = make_plan({"cfg": [5.0, 9.0]}, width=64, height=64)
    write(tmp_path, "pyramids", plan, reuse=False)
    command = [
        sys.executable, "-m", "sdviz.archive", "replay", str(tmp_path / "pyramids"),
        "--port", str(board.port), "--speed", "0.05",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        url = playing.stdout.readline().strip()
        assert url == board.url("/env/pyramids-replay")
        page.goto(board.url("/sdviz/sweep/pyramids-replay/"))
        page.wait_for_function("""() => {
            const root = document.querySelector(".sdviz").shadowRoot;
            return root && root.querySelector(".cell[data-state=done]");
        }""")
        assert "played in" in playing.stdout.read()
    assert playing.returncode == 0
    page.wait_for_function("""() => {
        const root = document.querySelector(".sdviz").shadowRoot;
        return root.querySelectorAll(".cell[data-state=done]").length === 2;
    }""")
    assert steps(page) == {0: 0, 1: 0}, "the final images"
    assert Archive(tmp_path / "pyramids").status == "finished", "the original is as it was"


def test_a_port_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sdviz.commands.archive.command import main

    write(tmp_path, "a", make_plan({"cfg": [7.0]}), reuse=False)
    assert main(["replay", str(tmp_path / "a"), "--port", "99999"]) == 2
    assert main(["replay", str(tmp_path / "a"), "--speed", "-1"]) == 2
    assert capsys.readouterr().err.count("error: --") == 2
