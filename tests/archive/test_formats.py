"""Older formats are read on a copy, and gone on with on a copy; the original stays as it is.

Format 1 is the first, so an older one is made up here: like format 1, with other names of columns.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from sdviz.archive import formats
from sdviz.archive.checksums import file_hash
from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.archive.command import main
from sdviz.errors import ArchiveError
from sdviz.web import describe
from tests.archive.sweeps import make_plan, write

PLAN = make_plan({"cfg": [7.0, 15.0]})
WIDER = make_plan({"cfg": [7.0, 15.0, 20.0]})


def _newer_names(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE cell RENAME COLUMN hash TO sha256")
    db.execute("UPDATE sweep SET key='created' WHERE key='born'")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of the made-up format, whose step to today's is known."""
    write(tmp_path / "outputs", "old", PLAN, reuse=False)
    root = tmp_path / "outputs" / "old"
    with sqlite3.connect(root / "sweep.db") as db:
        db.execute("ALTER TABLE cell RENAME COLUMN sha256 TO hash")
        db.execute("UPDATE sweep SET key='born' WHERE key='created'")
        db.execute(f"PRAGMA user_version={formats.FORMAT - 1}")
    db.close()
    (root / "checksums").unlink()
    monkeypatch.setitem(formats.STEPS, formats.FORMAT - 1, _newer_names)
    return root


def contents(root: Path) -> dict[str, str]:
    """Of all files but the lock, which every reader may make."""
    files = [file for file in root.rglob("*") if file.is_file() and file.name != ".lock"]
    return {file.relative_to(root).as_posix(): file_hash(file) for file in files}


def test_every_format_before_todays_has_its_step_and_its_golden_archive() -> None:
    golden = Path(__file__).parent / "golden"
    assert set(formats.STEPS) == set(range(1, formats.FORMAT))
    for number in range(1, formats.FORMAT + 1):
        assert (golden / f"format-{number}" / "sweep.db").is_file()


def test_an_older_archive_is_read_and_left_as_it_is(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(old)
    with Archive(old) as archive:
        assert str(archive.about("created")).startswith("20")
        assert [len(cell.sha256) for cell in archive.cells] == [64, 64]
        assert archive.frame(1, 3).shape == (16, 16, 3)
        assert len(describe.description(archive)["cells"]) == 2
    assert [finding.where for finding in verify(old)] == ["checksums"], "which were taken away"
    assert main(["show", str(old)]) == main(["list", str(old.parent)]) == 0
    assert "2 of 2 cells" in capsys.readouterr().out
    assert contents(old) == before


def test_a_sweep_of_an_older_archive_goes_on_in_a_copy(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(old)
    with pytest.raises(ArchiveError, match="archive migrate"):
        ArchiveWriter.open(old.parent, "old", WIDER, {}, reuse=True)
    new = old.with_name("new")
    assert main(["migrate", str(old), str(new)]) == 0
    assert "keeps its format" in capsys.readouterr().out
    assert contents(old) == before
    assert list(verify(new)) == []
    assert [cell.index for cell in write(new.parent, "new", WIDER).todo] == [2]


def test_cells_of_an_older_archive_are_reused(old: Path) -> None:
    assert [cell.index for cell in write(old.parent, "wider", WIDER).todo] == [2]
    assert Archive(old.parent / "wider").cell(0).source == "old"


def test_a_step_that_fails_is_a_damaged_archive(old: Path) -> None:
    with sqlite3.connect(old / "sweep.db") as db:
        db.execute("DROP TABLE cell")
    db.close()
    before = contents(old)
    with pytest.raises(ArchiveError, match="damaged"):
        Archive(old)
    assert [finding.where for finding in verify(old)] == ["sweep.db"]
    assert contents(old) == before


def test_there_is_nothing_to_migrate_in_todays_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "a", PLAN, reuse=False)
    assert main(["migrate", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    assert "nothing to do" in capsys.readouterr().err
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert main(["migrate", str(tmp_path / "a"), str(tmp_path / "c")]) == 1
    assert "already exists" in capsys.readouterr().err


def test_a_newer_archive_keeps_its_checksums_when_it_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN, reuse=False)
    with sqlite3.connect(tmp_path / "a" / "sweep.db") as db:
        db.execute(f"PRAGMA user_version={formats.FORMAT + 1}")
    db.close()
    before = contents(tmp_path / "a")
    with pytest.raises(ArchiveError, match="Update sdviz"):
        ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    assert contents(tmp_path / "a") == before
