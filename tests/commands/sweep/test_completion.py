"""Tab completion, in the shells that there are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.sweep.test_sweep import environment, sdviz


def test_completion_knows_keys_and_presets(tmp_path: Path) -> None:
    for line, word in (("sweep.py preview=", "preview=off"), ("sweep.py preview.d", "decoder")):
        os.environ["COMP_LINE"] = line
        try:
            assert word in sdviz("-sc", "query=bash", cwd=tmp_path, torch=False).stdout
        finally:
            del os.environ["COMP_LINE"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize("program", ["python -m sdviz.sweep", "sdviz sweep"])
def test_the_shell_completes_the_commands_as_they_are_typed(tmp_path: Path, program: str) -> None:
    (tmp_path / "sdviz").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sdviz "$@"\n')
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for file in tmp_path.iterdir():
        file.chmod(0o755)
    typed = f"{program} cfg=7,15 preview.de"
    script = f"""eval "$({program} -sc install=bash)"
COMP_LINE="{typed}" COMP_POINT={len(typed)} COMP_WORDS=({typed})
_sdviz_sweep; echo "${{COMPREPLY[@]}}"; complete -p python sdviz"""
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, text=True, capture_output=True, check=True,
        env={**environment(), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    first, *registered = result.stdout.splitlines()
    assert "preview.decoder=" in first and len(registered) == 2


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_a_bare_zsh_takes_the_script(tmp_path: Path) -> None:
    script = sdviz("-sc", "install=zsh", cwd=tmp_path, torch=False).stdout
    result = subprocess.run(
        ["zsh", "-f", "-c", f"{script}\nprint $_comps[sdviz] $_comps[python]"],
        cwd=tmp_path, text=True, capture_output=True, check=True,
        env={**environment(), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert result.stdout.count("_sdviz_sweep") == 2 and not result.stderr
