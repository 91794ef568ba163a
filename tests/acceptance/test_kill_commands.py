"""Every command that writes is killed at random moments: nothing is lost, and it goes on."""

from __future__ import annotations

import csv
import os
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from tests.acceptance.forks import Forks
from tests.archive.sweeps import make_plan, write

KILLS = 20
SEED = 13
A = make_plan({"cfg": [7.0, 15.0], "seed": [1, 2, 3]}, width=32, height=32)
B = make_plan({"cfg": [3.0], "seed": [1, 2, 3]}, width=32, height=32)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    folder = tmp_path_factory.mktemp("forks")
    made = Forks(folder / "log", folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    write(folder, "a", A)
    write(folder, "b", B)
    return folder


def content(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def killed_often(
    forks: Forks, folder: Path, argv: list[str], look: Callable[[], None] = lambda: None
) -> None:
    """Kills the command KILLS times, each time where the one before left it, and lets it end."""
    began = forks(folder.parent / "undisturbed", argv, program="archive")
    assert began["status"] == 0, forks.log.read_text()
    moments, kills = random.Random(SEED), 0
    while kills < KILLS:
        moment = moments.uniform(0, began["seconds"])
        ended = forks(folder, argv, program="archive", kill_after=moment)
        kills += 1
        assert ended["killed"] or ended["status"] == 0, forks.log.read_text()
        look()
    assert forks(folder, argv, program="archive")["status"] == 0, forks.log.read_text()
    assert "Traceback" not in forks.log.read_text()


@pytest.fixture
def folder(archives: Path, tmp_path: Path) -> Path:
    """A folder with copies of the archives a and b; another like it, "undisturbed", beside it."""
    shutil.copytree(archives, tmp_path / "undisturbed")
    return Path(shutil.copytree(archives, tmp_path / "folder"))


def test_merge(forks: Forks, folder: Path, archives: Path) -> None:
    killed_often(forks, folder, ["merge", "all", "a", "b"])
    assert list(verify(folder / "all")) == []
    with Archive(folder / "all") as archive:
        assert archive.counts() == {"done": 9} and archive.status == "finished"
    assert content(folder / "a") == content(archives / "a")
    assert content(folder / "b") == content(archives / "b")


def test_gc(forks: Forks, folder: Path) -> None:
    for root in (folder, folder.parent / "undisturbed"):
        for name in (".writing-1", "0099-old.png"):
            (root / "a" / "images" / name).write_bytes(bytes(100))
        with sqlite3.connect(root / "a" / "sweep.db") as db:
            db.execute("UPDATE cell SET status='waiting', image=NULL WHERE i=0")
        db.close()
    with Archive(folder / "a") as archive:
        kept = {cell.i: archive.image_path(cell.i).read_bytes() for cell in archive.cells[1:]}
    killed_often(forks, folder, ["gc", ".", "--yes"])
    with Archive(folder / "a") as archive:
        assert {i: archive.image_path(i).read_bytes() for i in kept} == kept
        assert archive.steps(0) == [] and archive.steps(1) == [1, 2, 3]
    assert not list(folder.rglob(".writing-*"))


def test_rm(forks: Forks, archives: Path, tmp_path: Path) -> None:
    moments = random.Random(SEED)
    whole = 0.0
    for attempt in range(KILLS + 1):
        folder = Path(shutil.copytree(archives, tmp_path / str(attempt)))
        moment = moments.uniform(0, whole) if attempt else None
        ended = forks(folder, ["rm", "a", "--yes"], program="archive", kill_after=moment)
        whole = whole or ended["seconds"]
        assert content(folder / "b") == content(archives / "b")
        if not (folder / "a").exists():
            continue
        again = forks(folder, ["rm", "a", "--yes"], program="archive")
        emptied = (folder / "a").is_dir() and not any((folder / "a").iterdir())
        assert (again["status"] == 0 and not (folder / "a").exists()) or emptied
    assert "Traceback" not in forks.log.read_text()


EXPORTS = ("all.zip", "cells.csv", "film.gif", "sheet.png", "report.html")


def assert_readable(path: Path) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            assert packed.testzip() is None
    elif path.suffix in (".gif", ".png"):
        with Image.open(path) as image:
            image.seek(getattr(image, "n_frames", 1) - 1)
            image.load()
    elif path.suffix == ".csv":
        assert len([*csv.reader(path.read_text(encoding="utf-8-sig").splitlines())]) == 7
    else:
        assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")


@pytest.mark.parametrize("out", EXPORTS)
def test_export_and_report(forks: Forks, folder: Path, archives: Path, out: str) -> None:
    command = "report" if out.endswith(".html") else "export"

    def look() -> None:
        if (folder / out).exists():
            assert_readable(folder / out)

    killed_often(forks, folder, [command, "a", out], look)
    look()
    assert {path.name for path in folder.iterdir()} == {"a", "b", out}
    assert content(folder / "a") == content(archives / "a")


def test_dataset(forks: Forks, folder: Path) -> None:
    """A folder that is there is whole; then the command says that it is not empty."""
    forks(folder.parent / "undisturbed", ["export", "a", "set", "--dataset"], program="archive")
    whole = set(content(folder.parent / "undisturbed" / "set"))
    moments = random.Random(SEED)
    for _ in range(KILLS):
        moment = moments.uniform(0, 0.2)
        argv = ["export", "a", "set", "--dataset"]
        forks(folder, argv, program="archive", kill_after=moment)
        if (folder / "set").exists():
            assert set(content(folder / "set")) == whole
            shutil.rmtree(folder / "set")
    assert forks(folder, argv, program="archive")["status"] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "set"]
