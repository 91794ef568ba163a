"""The command as a user runs it: real processes, a real (tiny) model."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sdviz.archive.reader import Archive
from sdviz.commands.sweep import dry_run
from sdviz.plan.config import PACKAGE
from sdviz.plan.methods import METHODS, SCHEDULES
from sdviz.plan.settings import SETTINGS
from sdviz.request.compose import plan

NOT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise SystemExit("torch was imported")
sys.meta_path.insert(0, Refuse())
import runpy
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(PACKAGE.parent)}


def sdviz(
    *arguments: str | Path, cwd: Path, torch: bool = True, module: str = "sdviz.sweep"
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module arguments`; without `torch`, importing torch ends it."""
    start = ["-m", module] if torch else ["-c", NOT_TORCH, module]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        cwd=cwd, env=environment(), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder")


@pytest.fixture(scope="module")
def typed(tiny_model: Path) -> list[str]:
    """A sweep with everything that Hydra would have understood differently."""
    return [
        "cfg=1-7 [2]", "seed=-1", "steps=2", f"model={tiny_model}", "visdom=off",
        "prompt=a castle, (sunset:1.3), ${HOME} {x|y} it's \\ 一座城堡 🙂 = !",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def swept(folder: Path, typed: list[str]) -> Iterator[Path]:
    """The archive of that sweep."""
    result = sdviz(*typed, cwd=folder)
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    assert last.startswith("2 cells in ") and "archive outputs/cfg-" in last
    yield folder / last.rpartition("archive ")[2]


def test_help_tells_every_setting_and_every_sampler(tmp_path: Path) -> None:
    told = sdviz("--help", cwd=tmp_path, torch=False).stdout
    words = set(re.findall(r"\w+", told))
    assert words.issuperset(SETTINGS), f"missing: {set(SETTINGS) - words}"
    samplers = told.partition("Samplers (")[2].partition("Values of an axis")[0]
    listed = {name.strip() for name in samplers.partition("):")[2].split(",")}
    assert listed == set(METHODS)
    assert set(SCHEDULES) <= set(re.findall(r"[A-Z][\w ]+", samplers))


def test_a_dry_run_may_be_cut_off_by_its_reader(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sdviz.sweep", "dry_run=true", "visdom=off"]
    pipes = {"stdout": write, "stderr": subprocess.PIPE}
    try:
        result = subprocess.run(command, cwd=tmp_path, env=environment(), text=True, **pipes)
    finally:
        os.close(write)
    assert (result.returncode, result.stderr) == (0, "")


def test_help_is_quick_and_needs_no_torch(tmp_path: Path) -> None:
    for module in ("sdviz", "sdviz.sweep"):
        before = os.times()
        result = sdviz("--help", cwd=tmp_path, torch=False, module=module)
        after = os.times()
        assert result.returncode == 0 and "cfg=7,15,20" in result.stdout
        spent = after.children_user + after.children_system
        assert spent - before.children_user - before.children_system < 1
    assert list(tmp_path.iterdir()) == []


def test_hydras_own_flags_work(tmp_path: Path) -> None:
    result = sdviz("cfg=1-20 [5]", "--cfg", "job", cwd=tmp_path, torch=False)
    assert result.returncode == 0
    job = yaml.safe_load(result.stdout)
    assert job["cfg"] == "1-20 [5]" and job["order"] == ["cfg"] and job["visdom"]["port"] == 6006
    assert "Config search path" in sdviz("--info", "searchpath", cwd=tmp_path).stdout
    assert list(tmp_path.iterdir()) == []


def test_everything_wrong_is_said_at_once_with_status_2(tmp_path: Path, tiny_model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = sdviz(
            "cfg=abc", "steps=0", "sampler=eulr", f"model={tiny_model}", "prompts=/no/file",
            "width=65", "name=<b>", f"visdom.port={port}", "cgf=7", "preview=of", "a castle",
            cwd=tmp_path, torch=False,
        )  # fmt: skip
    assert result.returncode == 2 and result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 10 and all(line.startswith("error: ") for line in lines)
    assert f"visdom.port={port}: used by" in result.stderr
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    "typed",
    [["cgf=7"], ["bar=(x"], ["cfg=${nothing}"], ["-m", "visdom.port=(1"], ["prompt=a \udcff cat"]],
)
def test_slips_have_status_2_and_no_traceback(tmp_path: Path, typed: list[str]) -> None:
    result = sdviz(*typed, cwd=tmp_path, torch=False)
    assert result.returncode == 2
    assert "error: " in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_keeps_the_prompt_as_it_was_typed(swept: Path, typed: list[str]) -> None:
    with Archive(swept) as archive:
        assert archive.status == "finished"
        assert [cell.recipe["cfg"] for cell in archive.cells] == [1.0, 7.0]
        assert {cell.recipe["prompt"] for cell in archive.cells} == {typed[-1].partition("=")[2]}
        assert len({cell.recipe["seed"] for cell in archive.cells}) == 1
    assert {path.name for path in swept.parent.parent.iterdir()} == {"outputs"}


def test_the_same_command_computes_nothing(swept: Path, typed: list[str], folder: Path) -> None:
    result = sdviz(*typed, cwd=folder, torch=False)
    assert result.returncode == 0, result.stderr
    assert "nothing to compute" in result.stdout and swept.name in result.stdout


def test_an_archives_configuration_runs_again(swept: Path, folder: Path) -> None:
    result = sdviz("--config-dir", swept, "--config-name", "config", cwd=folder, torch=False)
    assert result.returncode == 0, result.stderr
    assert "nothing to compute" in result.stdout and swept.name in result.stdout


def test_a_dry_run_estimates_from_what_was_measured(
    swept: Path, typed: list[str], folder: Path
) -> None:
    others = [word for word in typed if not word.startswith(("seed", "cfg"))]
    before = sorted((folder / "outputs").iterdir())
    result = sdviz("cfg=1-1000", *others, "dry_run=true", cwd=folder, torch=False)
    assert result.returncode == 0, result.stderr
    assert "axis cfg: 1, 2, 3" in result.stdout and "cells: 1,000" in result.stdout
    assert "denoiser evaluations: 3,998" in result.stdout
    assert "estimated time: " in result.stdout and "unknown" not in result.stdout
    larger = sdviz("cfg=1-1000", "width=128", *others, "dry_run=true", cwd=folder, torch=False)
    assert ", scaled from other sizes" in larger.stdout
    assert sorted((folder / "outputs").iterdir()) == before


def test_a_dry_run_knows_cells_of_every_archive(
    swept: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "_LATEST", 0)  # however few are looked at for times
    monkeypatch.chdir(folder)
    given = yaml.safe_load((swept / "config.yaml").read_text(encoding="utf-8"))
    given["prompt"] = given["prompt"].replace("\\${", "${")  # as Hydra reads it
    told = dry_run.describe(plan({**given, "cfg": [1, 7, 9], "name": "wider"}))
    assert "cells: 3, 2 already archived" in told


def test_ctrl_c_ends_in_an_orderly_way(tiny_model: Path, folder: Path) -> None:
    arguments = ["seed=1-5000", "steps=2", "engine.batch=4", "name=stopped"]
    arguments += [f"model={tiny_model}", "visdom=off"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sdviz.sweep", *arguments], cwd=folder, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        images = folder / "outputs" / "stopped" / "images"
        deadline = time.monotonic() + 240  # a stalled machine; else seconds
        while not list(images.glob("*.png")) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130 and "Traceback" not in err
    assert "archive outputs/stopped" in out.splitlines()[-1]
    assert "Run the same command again to continue" in out.splitlines()[-2]
    with Archive(images.parent) as archive:
        assert archive.status == "interrupted" and 0 < archive.counts()["done"] < 5000
