"""The wheel, in an environment of its own, in another folder, with the network cut."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from sdviz.archive.reader import Archive
from sdviz.plan.config import PACKAGE

CHECKOUT = PACKAGE.parent
MOST_WEIGHTS = 20_000_000  # bytes, of the miniature, in the wheel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("sdviz-*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that has sdviz from the wheel alone."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    # Its dependencies are lent by this environment: a path in a .pth brings in packages, but not
    # the .pth files there, among them that of an editable sdviz.
    (own,) = home.rglob("site-packages")
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def cut() -> list[str]:
    """The start of a command line that leaves a program no network but loopback; [] if not to be
    had.
    """
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return []
    start = ["unshare", "--net", "--map-root-user"]
    script = 'ip link set lo up && exec "$@"'
    line = [*start, "sh", "-c", script, "sh"]
    possible = subprocess.run([*line, "true"], capture_output=True, check=False).returncode == 0
    return line if possible else []


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("away")


@pytest.fixture(scope="module")
def told(environment: Path, away: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the installed sdviz did there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dead = "http://127.0.0.1:9"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"http_proxy": dead, "https_proxy": dead, "no_proxy": "127.0.0.1,localhost"}
    variables |= {"XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}
    variables |= {"HF_HOME": str(tmp_path_factory.mktemp("hub"))}
    variables.pop("HF_HUB_OFFLINE", None)
    command = [*cut(), environment / "python", CHECKOUT / "tests/acceptance/offline.py"]
    command += [environment / "sdviz", str(port)]
    done = subprocess.run(
        list(map(str, command)), cwd=away, env=variables, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_holds_what_is_needed_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        sizes = {info.filename: info.file_size for info in content.infolist()}
    for name in (
        "sdviz/conf/sweep.yaml", "sdviz/conf/model/miniature.yaml",
        "sdviz/web/visdom/static/common/js/react-react.min.js",
        "sdviz/miniature/model_index.json",
        "sdviz/miniature/unet/diffusion_pytorch_model.safetensors",
        "sdviz/miniature/vae/diffusion_pytorch_model.safetensors",
    ):  # fmt: skip
        assert sizes.get(name), name
    assert "sdviz/py.typed" in sizes, "type checkers take no types from a package without it"
    # the wheel must not lose a file to a rule of git
    for path in PACKAGE.rglob("*"):
        name = path.relative_to(CHECKOUT).as_posix()
        if path.is_file() and "__pycache__" not in name:
            assert name in sizes, name
    assert any(name.endswith("licenses/LICENSE") for name in sizes)
    tops = {name.split("/")[0] for name in sizes}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sdviz"}
    assert sum(s for n, s in sizes.items() if n.startswith("sdviz/miniature/")) < MOST_WEIGHTS


def test_is_what_runs(told: dict[str, Any], environment: Path) -> None:
    assert Path(told["file"]).is_relative_to(environment.parent)
    assert not told["torch"], "importing sdviz imports no torch"
    status, text = told["help"]
    assert status == 0 and "sdviz sweep cfg=7,15,20" in text


def test_sweeps_and_lists(told: dict[str, Any]) -> None:
    status, text = told["sweep"]
    assert status == 0 and "Traceback" not in text and "warning" not in text, text
    assert text.splitlines()[-1].startswith("2 cells in ")
    assert told["list"][0] == 0 and "away" in told["list"][1]
    assert told["verify"][0] == 0, told["verify"][1]


def test_has_the_whole_page(told: dict[str, Any]) -> None:
    assert set(told["page"].values()) == {200}, told["page"]
    assert len([address for address in told["page"] if address.split("?")[0].endswith(".js")]) >= 5
    assert {urlsplit(address).hostname for address in told["page"]} == {"127.0.0.1"}
    assert told["stop"][0] == 0, told["stop"]


def test_makes_the_checkouts_pictures(told: dict[str, Any], away: Path, tmp_path: Path) -> None:
    command = ["cfg=7,15", "steps=2", "name=here", "visdom=off", "preview=off"]
    subprocess.run(
        [sys.executable, "-m", "sdviz.sweep", *command], cwd=tmp_path, check=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, capture_output=True,
    )  # fmt: skip
    theirs, ours = Archive(away / "outputs" / "away"), Archive(tmp_path / "outputs" / "here")
    with theirs, ours:
        assert [c.key for c in theirs.cells] == [c.key for c in ours.cells]
        for i in range(2):
            difference = np.asarray(theirs.image(i), np.int16) - np.asarray(ours.image(i), np.int16)
            assert np.abs(difference).max() <= 1
