"""The commands on a real sweep of the miniature: archived, then verified by computing again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.commands.archive.command import main
from sdviz.pictures.measures import largest_difference
from sdviz.pictures.recipes import read_picture
from tests.request.webui import parse_generation_parameters

pytestmark = pytest.mark.skipif(
    not (Path(__file__).parents[2] / "sdviz" / "miniature" / "model_index.json").exists(),
    reason="the miniature's weights are not in this checkout",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    command = [
        sys.executable, "-m", "sdviz.sweep",
        "cfg=3,7", "sampler=euler_a,heun", "steps=3", "dtype=float32",
        "name=real", f"outputs={outputs}", "visdom.enabled=false", "prompt=a red pyramid",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return outputs / "real"


def test_the_archive_holds_what_was_asked_for(root: Path) -> None:
    archive = Archive(root)
    assert archive.status == "finished"
    assert archive.axes == {"cfg": [3.0, 7.0], "sampler": ["Euler a", "Heun"]}
    assert all(cell.status == "done" and cell.frames == 3 for cell in archive.cells)
    assert all(0 < cell.timings["denoise_s"] < cell.timings["total_s"] for cell in archive.cells)
    for cell in archive.cells:
        last = archive.frame(cell.i, 3)
        assert last.shape == np.asarray(archive.image(cell.i)).shape
    different = np.asarray(archive.image(0)), np.asarray(archive.image(2))
    assert largest_difference(*different) > 3, "CFG changes the picture"


def test_the_picture_tells_its_recipe(root: Path) -> None:
    path = Archive(root).image_path(3)
    with Image.open(path) as image:
        found = parse_generation_parameters(image.info["parameters"])
    assert (found["Prompt"], found["Sampler"], found["CFG scale"]) == ("a red pyramid", "Heun", "7")
    recipe = read_picture(path).settings
    assert (recipe["sampler"], recipe["cfg"], recipe["steps"]) == ("Heun", 7.0, 3)


def test_rendering_again_gives_the_same_pixels(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(root), "--render", "cell 0,3"]) == 0
    assert capsys.readouterr().out.count("the same pixels") == 2


def test_every_command_reads_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(root), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 4
    for arguments in (
        ["list", str(root.parent)],
        ["find", "sampler=heun", str(root.parent)],
        ["compare", str(root), "--by", "cfg=3", "cfg=7"],
        ["report", str(root), str(tmp_path / "r.html")],
        ["export", str(root), str(tmp_path / "sheet.png")],
        ["export", str(root), str(tmp_path / "film.gif")],
        ["export", str(root), str(tmp_path / "cells.csv")],
        ["merge", str(tmp_path / "merged"), str(root)],
        ["replay", str(root), "--terminal"],
        ["gc", str(root.parent)],
    ):
        assert main(arguments) == 0, arguments
        assert capsys.readouterr().out


def test_pixels_that_were_changed_are_found_by_rendering(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sdviz.commands.archive._rendering import _outcome

    archive = Archive(root)
    kept = np.asarray(archive.image(0))
    near = np.where(kept < 255, kept + 1, kept).astype(np.uint8)
    assert _outcome(archive, archive.cell(0), near).finding is None
    far = np.where(kept < 200, kept + 9, kept).astype(np.uint8)
    finding = _outcome(archive, archive.cell(0), far).finding
    assert finding is not None and "9/255" in finding.what
