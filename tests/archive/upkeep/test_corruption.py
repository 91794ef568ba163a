"""Damage: `verify` names it, and what is whole stays readable."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from sdviz.web import describe
from tests.archive.fixtures import PLAN
from tests.archive.reading import read_everything
from tests.archive.sweeps import cell_events, picture, write


def test_a_whole_archive_has_no_findings(whole: Path) -> None:
    assert list(verify(whole)) == []
    assert read_everything(whole) == 16


def flip(chance: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)
    file.write_bytes(bytes(data))


def cut(chance: random.Random, file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: chance.randrange(len(data))])


def overwrite(chance: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    at = chance.randrange(len(data))
    data[at : at + 64] = chance.randbytes(64)
    file.write_bytes(bytes(data))


def delete(chance: random.Random, file: Path) -> None:
    file.unlink()


def rename(chance: random.Random, file: Path) -> None:
    file.rename(file.with_name("renamed-" + file.name))


DAMAGES: list[Callable[[random.Random, Path], None]] = [flip, cut, overwrite, delete, rename]


def test_verify_names_each_of_a_hundred_random_damages(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(2026)
    missed = []
    for number in range(100):
        root = Path(shutil.copytree(whole, tmp_path / str(number) / "a"))
        files = [
            file for file in sorted(root.rglob("*")) if file.is_file() and file.name != ".lock"
        ]
        # Half of them in the database, which holds most of what an archive knows.
        file = root / "sweep.db" if chance.random() < 0.5 else chance.choice(files)
        damage = DAMAGES[number % len(DAMAGES)]
        damage(chance, file)
        found = list(verify(root))
        inside = file.relative_to(root).as_posix()
        told = any(inside in f"{finding.where} {finding.what}" for finding in found)
        if not (told or (inside == "sweep.db" and found)):
            missed.append((damage.__name__, inside, found))
        read_everything(root)
        shutil.rmtree(root.parent)
    assert missed == []


def test_what_is_whole_stays_readable(root: Path) -> None:
    with sqlite3.connect(root / "sweep.db") as db:
        db.execute("UPDATE cell SET recipe='{broken' WHERE i=1")
        db.execute("UPDATE frame SET webp=zeroblob(100) WHERE cell=2 AND step=2")
        db.execute("UPDATE cell SET timings='[1,2]' WHERE i=3")
    db.close()
    found = {finding.where for finding in verify(root)}
    assert {"sweep.db", "cell 1", "frame 2/2", "cell 3"} <= found
    archive = Archive(root)
    assert [cell.status for cell in archive.cells] == ["done", "damaged", "done", "damaged"]
    assert np.array_equal(np.asarray(archive.image(2)), picture(PLAN.cells[2], 3))
    with pytest.raises(ArchiveError, match="frame 2/2"):
        archive.frame(2, 2)
    assert archive.frame(2, 3).shape == (32, 32, 3)


def test_a_recipe_that_was_changed_does_not_hash_to_its_key(root: Path) -> None:
    with sqlite3.connect(root / "sweep.db") as db:
        db.execute("UPDATE cell SET recipe=replace(recipe, '\"seed\":42', '\"seed\":43') WHERE i=0")
    db.close()
    assert any("does not hash to its key" in finding.what for finding in verify(root))


def test_a_damaged_archive_beside_does_not_stop_a_sweep(root: Path) -> None:
    (root / "sweep.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    writer = write(root.parent, "b", PLAN)
    assert len(writer.todo) == 4
    assert list(verify(root.parent / "b")) == []


def test_a_damaged_picture_is_not_reused(root: Path) -> None:
    flip(random.Random(1), sorted((root / "images").iterdir())[2])
    writer = write(root.parent, "b", PLAN)
    assert [cell.index for cell in writer.todo] == [2]


def test_a_killed_sweep_is_whole_as_far_as_it_went(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    for event in cell_events(PLAN.cells[0]):
        writer.handle(event)
    writer.close()
    assert list(verify(tmp_path / "a")) == []
    told = json.dumps(describe.description(Archive(tmp_path / "a")))
    assert "interrupted" in told
