"""An archive that a stranger sent leads nowhere, fills no memory and raises ArchiveErrors alone."""

from __future__ import annotations

import io
import sqlite3
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.removal import remove
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from sdviz.web.report import write_file
from tests.archive.fixtures import PLAN
from tests.archive.reading import read_everything
from tests.archive.sweeps import make_plan, write


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
