"""Damage: `verify` names it, what is whole stays readable, and strangers do no harm."""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdviz.archive import describe
from sdviz.archive.listing import show_text, summaries
from sdviz.archive.reader import Archive
from sdviz.archive.removal import remove
from sdviz.archive.report import write_file
from sdviz.archive.verify import verify
from sdviz.archive.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from tests.archive.sweeps import cell_events, make_plan, picture, write

PLAN = make_plan({"cfg": [7.0, 15.0], "sampler": ["Euler a", "Heun"]}, width=32, height=32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write(folder, "a", PLAN)
    return folder / "a"


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of the whole archive, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "a"))


def read_everything(root: Path) -> int:
    """Reads all that can be read; returns how many pictures. Only ArchiveError may come out."""
    pictures = 0
    summaries(root.parent)
    try:
        archive = Archive(root)
    except ArchiveError:
        return 0
    with archive:
        for question in (
            lambda: archive.as_json(),
            lambda: describe.description(archive),
            lambda: list(archive.events()),
            lambda: show_text(archive, most=9),
        ):
            try:
                question()
            except ArchiveError:
                continue
        for i in range(4):
            for step in (0, 1, 2, 3):
                try:
                    _ = archive.frame(i, step) if step else archive.image(i)
                    pictures += 1
                except ArchiveError:
                    continue
    return pictures


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


@pytest.mark.parametrize(
    "name",
    [
        "../../secret.png", "images/../../secret.png", "/etc/passwd", "images/../sweep.db",
        "C:\\secret.png", "images/..", "images/a\0b", "images//x", "file:///etc/passwd", "images",
    ],
)  # fmt: skip
def test_an_image_name_leads_nowhere_but_into_images(root: Path, name: str) -> None:
    (root.parent / "secret.png").write_bytes((root / "grid.png").read_bytes())
    with sqlite3.connect(root / "sweep.db") as db:
        db.execute("UPDATE cell SET image=? WHERE i=0", (name,))
    db.close()
    with pytest.raises(ArchiveError, match="image="):
        Archive(root).image(0)
    assert any(f.where.startswith("cell 0") for f in verify(root))
    read_everything(root)


def test_a_link_among_the_images_is_not_followed(root: Path) -> None:
    image = sorted((root / "images").iterdir())[0]
    secret = root.parent / "secret.png"
    image.rename(secret)
    image.symlink_to(secret)
    with pytest.raises(ArchiveError, match="link"):
        Archive(root).image(0)
    remove(root)
    assert secret.exists(), "nothing outside is deleted"


def bomb(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that claims to be width x height."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (20_000, 100), (10_000, 10_000)])
def test_absurd_sizes_are_refused_before_a_pixel_is_decoded(
    root: Path, size: tuple[int, int]
) -> None:
    archive = Archive(root)
    archive.image_path(0).write_bytes(bomb(*size))
    with pytest.raises(ArchiveError):
        archive.image(0)
    webp = io.BytesIO()
    Image.new("RGB", (2, 2)).save(webp, "WEBP")
    with sqlite3.connect(root / "sweep.db") as db:
        db.execute("UPDATE frame SET webp=zeroblob(17000000) WHERE cell=0 AND step=1")
        db.execute("UPDATE frame SET webp='text' WHERE cell=0 AND step=2")
        db.execute("UPDATE frame SET webp=? WHERE cell=0 AND step=3", (bomb(60_000, 60_000),))
    db.close()
    for step in (1, 2, 3):
        with pytest.raises(ArchiveError, match="frame 0/"):
            archive.frame(0, step)
    assert read_everything(root) == 12


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("sweep", "UPDATE sweep SET value='{' || value"),
        (
            "sweep",
            "UPDATE sweep SET value=replace(hex(zeroblob(30000)), '00', '[') WHERE key='config'",
        ),
        ("sweep", "UPDATE sweep SET value='\"text\"'"),
        ("sweep", "DELETE FROM sweep"),
        ("axis", "UPDATE axis SET \"values\"='[1]'"),
        ("axis", "UPDATE axis SET keys='[1, null]'"),
        ("cell", "UPDATE cell SET coords='[-1, \"x\"]'"),
        ("cell", "UPDATE cell SET coords='[99, 99]'"),
        ("cell", "UPDATE cell SET status='<script>'"),
        ("cell", "UPDATE cell SET frames='many', last_step=-7"),
        ("cell", 'UPDATE cell SET recipe=\'{"cfg": {"a": []}, "steps": "x"}\''),
        ("cell", "UPDATE cell SET timings='{\"total_s\": null}'"),
        ("cell", "UPDATE cell SET schedule=77"),
        ("cell", "DELETE FROM cell"),
        ("frame", "UPDATE frame SET sigma='hot', step=step+100000"),
        ("schedule", "UPDATE schedule SET sigmas='oops'"),
        ("event", "UPDATE event SET kind='note', data='[]'"),
        ("event", "UPDATE event SET cell=999"),
        ("cell", "DROP TABLE cell"),
        ("cell", "ALTER TABLE cell RENAME TO other; CREATE VIEW cell AS SELECT * FROM other"),
        ("sweep", "PRAGMA user_version=0"),
    ],
)
def test_rows_of_a_stranger_raise_nothing_but_archive_errors(
    root: Path, table: str, change: str
) -> None:
    with sqlite3.connect(root / "sweep.db") as db:
        db.executescript(change)
    db.close()
    assert list(verify(root)), f"damage in {table} is named"
    read_everything(root)


def test_a_newer_format_says_so(root: Path) -> None:
    with sqlite3.connect(root / "sweep.db") as db:
        db.execute("PRAGMA user_version=2")
    db.close()
    with pytest.raises(ArchiveError, match=r"format 2.*Update sdviz"):
        Archive(root)
    with pytest.raises(ArchiveError, match=r"format 2.*Update sdviz"):
        ArchiveWriter.open(root.parent, "a", PLAN, {}, reuse=True)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sweep.db") as db:
        db.execute("CREATE TABLE cookies (value TEXT)")
    db.close()
    with pytest.raises(ArchiveError, match="not a database of sdviz"):
        Archive(tmp_path)


def test_sql_and_html_in_strings_are_text(tmp_path: Path) -> None:
    hostile = "'); DROP TABLE cell; -- </script><img src=x onerror=alert(1)>"
    plan = make_plan({"prompt": [hostile, "second"]}, negative=hostile)
    write(tmp_path, "a", plan)
    archive = Archive(tmp_path / "a")
    assert archive.cells[0].recipe["prompt"] == hostile
    assert archive.axes["prompt"][0] == hostile
    page = tmp_path / "report.html"
    write_file(archive, archive.cells, page)
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text and "</script><img" not in text
    assert list(verify(tmp_path / "a")) == []


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
