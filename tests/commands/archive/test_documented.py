"""Every command of docs/archive.md, as a new user would run it, does and says what stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sdviz.commands.archive.command import main

REPOSITORY = Path(__file__).parents[3]
PROMPT = "$ python -m sdviz.archive "
ANYWHERE = ("machine", "versions", "preview:", "error:")  # lines that differ from place to place

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / "sdviz" / "miniature" / "model_index.json").exists(),
    reason="the miniature's weights are not in this checkout",
)


def documented() -> list[tuple[str, list[str]]]:
    """Commands and what they print, in the order of the page."""
    text = (REPOSITORY / "docs" / "archive.md").read_text(encoding="utf-8")
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith(PROMPT):
                found.append((line.removeprefix(PROMPT), []))
            elif found and line and block.startswith(PROMPT):
                found[-1][1].append(line)
    return found


def alike(line: str) -> str:
    """The line without its figures and the room that they take; both are a sweep's own."""
    line = re.sub(r"\d[\d.:TZ-]*", "0", line)
    line = line.replace("the same pixels, within 0/0", "the same pixels, exactly")
    line = line.removesuffix(" (too few cells to settle)")  # a slow machine settles at once
    return " ".join(line.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's sweep was made, here in three steps."""
    folder = tmp_path_factory.mktemp("documented")
    command = [
        sys.executable, "-m", "sdviz.sweep", "cfg=7,15,20", "steps=3", "name=cfg-3",
        "visdom.enabled=false",
    ]  # fmt: skip
    path = {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        command, cwd=folder, env=os.environ | path, capture_output=True, text=True, timeout=400,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_every_documented_command_says_what_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    commands = documented()
    assert len(commands) > 20
    for command, expected in commands:
        words = shlex.split(command)
        if words[0] == "replay" and "--terminal" not in words:
            continue  # tests/web/server/test_replay.py watches its page
        status = main(words)
        told = capsys.readouterr()
        refused = any(line.startswith("error:") for line in expected)
        assert status == (1 if refused else 0), f"{command}: {told.err}"
        if refused:
            assert alike(expected[0]) == alike(told.err)
            continue
        shown = (told.out + told.err).splitlines()
        pairs = zip([line for line in shown if line], expected, strict="..." not in expected)
        for line, written in pairs:
            if written != "..." and not written.startswith(ANYWHERE):
                assert alike(line) == alike(written), command
