"""The page on Visdom 0.3, which only newer Pythons have: the same tests there, without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What the server and these tests need; Visdom's client would bring scikit-learn and more.
NEEDED = ["tornado<6.6", "jsonpatch", "numpy", "pillow", "pyyaml", "pytest", "playwright"]
NEEDED += ["hypothesis"]
SERVER = (
    "guard", "proxy", "login", "other_user", "hostile_sockets", "hostile_requests", "fuzz",
)  # fmt: skip
TESTS = ["visdom/test_page.py", *(f"server/test_{name}.py" for name in SERVER)]


def newer_python() -> str:
    """A Python 3.12 or later, of this machine or of pyenv; "" where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python3.{minor}") for minor in (13, 12)]
    found += sorted(map(str, pyenv.glob("3.1[23]*/bin/python")), reverse=True)
    for program in filter(None, found):
        if subprocess.run([program, "-c", "import venv"], capture_output=True).returncode == 0:
            return program
    return ""


def install(python: Path, *what: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", *what]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot install {' '.join(what)}: {done.stderr.strip()[-200:]}")


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_on_visdom_0_3(tmp_path: Path) -> None:
    if version("visdom").startswith("0.3."):
        pytest.skip("the other tests run on Visdom 0.3 already")
    program = newer_python()
    if not program:
        pytest.skip("there is no Python 3.12 or later on this machine")
    subprocess.run([program, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install(python, *NEEDED)
    install(python, "--no-deps", "visdom==0.3.*")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    tests = [str(ROOT / "tests" / "web" / name) for name in TESTS]
    done = subprocess.run([*command, *tests], cwd=ROOT, capture_output=True, text=True)
    print(done.stdout[-4000:], file=sys.stderr)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
