"""An archive whose maker wants to harm: links, FIFOs, damaged schemas, numbers that JSON lacks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.stage import Stage
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.archive.command import main
from sdviz.errors import ArchiveError
from tests.archive.fixtures import PLAN
from tests.archive.sweeps import write
from tests.archive.twins import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and FIFOs")

PRECIOUS = "what nobody may touch\n"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder with files of the user; every name and every byte of it must stay."""
    folder = tmp_path / "outside"
    (folder / "cell").mkdir(parents=True)
    names = (
        *("notes.txt", "index.html", "0.js", "0000.png", ".writing-mine", "cell/0.js"),
        *("sweep.db", "config.yaml", "grid.png", ".lock", "checksums"),
    )
    for name in names:
        (folder / name).write_text(PRECIOUS)
    yield folder
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(names)
    assert all((folder / name).read_text() == PRECIOUS for name in names)


def replaced(name: str, target: Callable[[Path], Path]) -> Callable[[Path, Path], None]:
    """Puts a link in the place of the file or folder `name` of an archive."""

    def place(root: Path, outside: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target(outside))

    return place


LINKS = {
    **{
        name: replaced(name, lambda outside: outside / "notes.txt")
        for name in (
            *(".lock", "config.yaml", "grid.png", "checksums", "sweep.db", "sweep.db-wal"),
            *("sweep.db-journal", "sweep.db-shm", "report.html", "images/0000.png"),
            *("images/.writing-1", "report/index.html", "report/cell/0.js", "figures/a.png"),
        )
    },
    **{
        name: replaced(name, lambda outside: outside)
        for name in ("images", "report", "report/cell", "report/figure", "figures")
    },
}


@pytest.mark.parametrize("link", LINKS)
def test_no_command_follows_a_link(
    root: Path, outside: Path, link: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / "images" / ".writing-2").write_text("left behind")
    LINKS[link](root, outside)
    folder = str(root.parent)
    main(["gc", folder, "--yes"])
    main(["verify", str(root)])
    main(["export", str(root), f"{folder}/a.zip"])
    main(["export", str(root), f"{folder}/set", "--dataset"])
    main(["report", str(root)])
    main(["report", str(root), "--folder"])
    try:
        write(root.parent, "a", PLAN)
    except ArchiveError as error:
        assert "a" in str(error)
    main(["rm", str(root), "--yes"])
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("command", ["rm", "sweep", "gc"])
def test_an_archive_that_is_itself_a_link_is_not_written(
    tmp_path: Path, root: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "images" / ".writing-1").write_text("left behind")
    linked = tmp_path / "outputs" / "linked"
    linked.parent.mkdir()
    linked.symlink_to(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    if command == "sweep":
        with pytest.raises(ArchiveError, match="link"):
            ArchiveWriter.open(linked.parent, "linked", PLAN, {}, reuse=True)
    else:
        target = linked if command == "rm" else linked.parent
        main([command, str(target), "--yes"])
        assert command == "gc" or "link" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_lock_that_is_another_file_too_keeps_its_content(root: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text(PRECIOUS)
    (root / ".lock").unlink(missing_ok=True)
    os.link(notes, root / ".lock")
    write(root.parent, "a", PLAN)
    assert notes.read_text() == PRECIOUS


@pytest.mark.parametrize(
    "name",
    [
        *(".lock", "checksums", "config.yaml", "grid.png", "images/FIRST", "figures/a.png"),
        *("sweep.db-wal", "sweep.db-journal", "sweep.db"),
    ],
)
def test_a_fifo_holds_no_command(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Were one opened, the test would hang."""
    first = sorted((root / "images").iterdir())[0].name
    path = root / name.replace("FIRST", first)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    folder = str(root.parent)
    for command in (
        ["list", folder], ["find", "cfg=7", folder], ["gc", folder, "--yes"], ["verify", str(root)],
        ["show", str(root), "--json"], ["export", str(root), f"{folder}/sheet.png"],
        ["export", str(root), f"{folder}/a.zip"], ["export", str(root), f"{folder}/s", "--dataset"],
        ["report", str(root)], ["compare", str(root), str(root)],
        ["merge", f"{folder}/all", str(root)],
    ):  # fmt: skip
        main(command)
    with contextlib.suppress(ArchiveError):
        write(root.parent, "a", PLAN)
    write(root.parent, "beside", PLAN)
    assert "Traceback" not in capsys.readouterr().err


def flip_schema(root: Path, at: int) -> None:
    data = bytearray((root / "sweep.db").read_bytes())
    data[data.find(b"CREATE TABLE cell") + at] ^= 0x80
    (root / "sweep.db").write_bytes(bytes(data))


def change(sql: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        with sqlite3.connect(root / "sweep.db") as db:
            db.executescript(sql)
        db.close()

    return apply


HEAVY = "ALTER TABLE sweep RENAME TO s; CREATE TABLE sweep (key TEXT, value TEXT GENERATED ALWAYS"
DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit of the schema's words": lambda root: flip_schema(root, 2),
    "a bit of a table's name": lambda root: flip_schema(root, 14),
    "a bit of a column's name": lambda root: flip_schema(root, 24),
    "a renamed column": change("ALTER TABLE cell RENAME COLUMN status TO state"),
    "a missing column": change("ALTER TABLE frame DROP COLUMN crc"),
    "a column that is computed": change(f"{HEAVY} AS (hex(zeroblob(400000000))) VIRTUAL)"),
    "a table of a module": change("DROP TABLE event; CREATE VIRTUAL TABLE event USING fts5(n)"),
    "a key that is none": change(
        "ALTER TABLE event RENAME TO e; CREATE TABLE event"
        " (n TEXT PRIMARY KEY, kind TEXT NOT NULL, cell INTEGER, data TEXT, seq INTEGER)"
    ),
    "a trigger": change("CREATE TRIGGER t AFTER DELETE ON frame BEGIN DELETE FROM cell; END"),
    "an index that is computed": change("CREATE INDEX x ON cell (length(zeroblob(9000000)))"),
    "another index of our name": change(
        "DROP INDEX cell_key; CREATE INDEX cell_key ON cell (length(zeroblob(9000000)))"
    ),
    "numbers as text": change("UPDATE cell SET i=i+9000000000000000000, frames=1e300"),
    "deep JSON": change("UPDATE sweep SET value=replace(hex(zeroblob(60000)),'00','[')"),
    "an absurd axis": change('UPDATE axis SET "values"=\'[[{"a":1}],[[2]]]\''),
    "an empty file": lambda root: (root / "sweep.db").write_bytes(b"") and None,
    "no file at all": lambda root: (root / "sweep.db").unlink(),
}


@pytest.mark.parametrize("damage", [*DAMAGES][:-1])
def test_a_damaged_archive_is_named_and_the_others_are_shown(
    tmp_path: Path, whole: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        shutil.copytree(whole, tmp_path / name)
    DAMAGES[damage](tmp_path / "a")
    for command in (["list"], ["find", "cfg=7"], ["gc"]):
        assert main([*command, str(tmp_path)]) == 0
        told = capfd.readouterr()
        assert "Traceback" not in told.err
        if command[0] == "list":
            assert "finished  4/4" in told.out and str(tmp_path / "a") in told.out
        if command[0] == "find":
            assert f"{tmp_path / 'b'}" in told.out
    assert main(["verify", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    assert str(tmp_path / "a") in capfd.readouterr().out
    for command in (["show"], ["export"], ["report"], ["compare"]):
        more = {"export": [f"{tmp_path}/x.csv"], "compare": [str(tmp_path / "b")]}
        main([*command, str(tmp_path / "a"), *more.get(command[0], [])])
    assert "Traceback" not in capfd.readouterr().err
    write(tmp_path, "c", PLAN)  # which asks both what they have


def test_a_damaged_archive_is_named_by_find(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change("ALTER TABLE cell RENAME COLUMN status TO state")(root)
    assert main(["find", "cfg=7", str(root.parent)]) == 0
    assert "skipped" in (told := capsys.readouterr()).err and "lacks status" in told.err


def test_numbers_that_json_lacks_are_null_everywhere(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(
        """UPDATE cell SET recipe=replace(recipe, '"cfg":7.0', '"cfg":NaN');
        UPDATE cell SET recipe=replace(recipe, '"cfg":15.0', '"cfg":1e999');
        UPDATE frame SET sigma=9e999, mean=-9e999;
        UPDATE axis SET "values"='[[NaN],[Infinity]]' WHERE position=0;
        INSERT INTO event VALUES (99, 'cell_scored', 0, '{"scores":{"clip":-Infinity}}', 1);
        UPDATE sweep SET value='NaN' WHERE key='seconds'"""
    )(root)

    def strict(text: str) -> object:
        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is no JSON")

        return json.loads(text, parse_constant=refuse)

    assert isinstance(shown := strict(run(capsys, "show", root, "--json")), dict)
    assert [cell["cfg"] for cell in shown["cells"]] == [None] * 4
    strict(run(capsys, "find", "steps=3", root, "--json"))
    strict(run(capsys, "list", root.parent, "--json"))
    strict(run(capsys, "compare", root, root, "--json"))
    for line in run(capsys, "replay", root, "--json").splitlines():
        strict(line)
    run(capsys, "export", root, tmp_path / "cells.jsonl")
    for line in (tmp_path / "cells.jsonl").read_text().splitlines():
        strict(line)
    run(capsys, "export", root, tmp_path / "set", "--dataset")
    for line in (tmp_path / "set" / "metadata.jsonl").read_text().splitlines():
        strict(line)
    run(capsys, "report", root)
    page = (root / "report.html").read_text(encoding="utf-8")
    assert "NaN," not in page and "Infinity," not in page and ":Infinity" not in page


def test_verify_misses_no_line_in_checksums(root: Path) -> None:
    change("UPDATE cell SET timings=replace(timings, '0.03', '0.01')")(root)
    lines = (root / "checksums").read_text().splitlines(keepends=True)
    (root / "checksums").write_text("".join(line for line in lines if "sweep.db" not in line))
    found = {finding.where: finding.what for finding in verify(root)}
    assert "no line in `checksums`" in found["sweep.db"]


def test_files_have_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path, "a", PLAN)
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert files and {path.stat().st_mode & 0o077 for path in files} == {0}


@pytest.mark.parametrize(
    "out", ["sheet.png", "cells.csv", "cells.jsonl", "film.gif", "film.webp", "all.zip", "set"]
)
def test_an_export_that_fails_leaves_nothing_half(
    root: Path, tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = tmp_path / "exports"
    folder.mkdir()
    old = folder / out
    if out != "set":
        old.write_text("an earlier export")
    more = ["--dataset"] if out == "set" else ["--film"] if out == "film.webp" else []

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr("pathlib.Path.rename", full)
    assert main(["export", str(root), str(old), *more]) == 1
    assert "No space left" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ([] if out == "set" else [out])
    assert out == "set" or old.read_text() == "an earlier export"


@pytest.mark.parametrize("name", ["con", "NUL.txt", "com1", "Lpt9.x", "aux"])
def test_names_that_windows_reserves_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="Windows"):
        ArchiveWriter.open(tmp_path, name, PLAN, {}, reuse=True)


def test_a_merge_that_was_killed_goes_on(
    tmp_path: Path, outputs: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    typed = ["merge", tmp_path / "all", outputs / "a", outputs / "b"]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sdviz.archive.writing.writer.write_config", killed)
        assert main([str(word) for word in typed]) == 130
    assert Archive(tmp_path / "all").counts()["done"] == 12, "cells come before the configuration"
    run(capsys, *typed)
    with Archive(tmp_path / "all") as archive:
        assert archive.counts() == {"done": 12} and archive.status == "finished"
    assert list(verify(tmp_path / "all")) == []
    run(capsys, *typed)
    assert "already" in run(capsys, "merge", tmp_path / "all", outputs / "a", status=1)


def test_a_journal_that_names_another_file_does_not_delete_it(
    root: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite deletes the super-journal that a journal names when it has played it back."""
    victim = str(outside / "notes.txt").encode()
    name = struct.pack(">I", 0) + victim + struct.pack(">II", len(victim), sum(victim))
    magic = bytes.fromhex("d9d505f920a163d7")
    head = magic + struct.pack(">IIIII", 0, 1, 1, 512, 4096)
    (root / "sweep.db-journal").write_bytes(head.ljust(512, b"\0") + name + magic)
    assert main(["gc", str(root.parent), "--yes"]) == 0
    assert "names another file" in capsys.readouterr().err
    with pytest.raises(ArchiveError, match="names another file"):
        write(root.parent, "a", PLAN)


def test_a_replay_takes_no_fifo(root: Path, tmp_path: Path) -> None:
    first = sorted((root / "images").iterdir())[0]
    first.unlink()
    os.mkfifo(first)
    with Archive(root) as archive, Stage(archive, tmp_path / "copy", "copy") as stage:
        stage.play(0)
    assert not (tmp_path / "copy" / "images" / first.name).exists()


def test_two_cells_of_one_image_are_both_in_a_dataset(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("UPDATE cell SET image=(SELECT image FROM cell WHERE i=0)")(root)
    run(capsys, "export", root, tmp_path / "set", "--dataset")
    assert len((tmp_path / "set" / "metadata.jsonl").read_text().splitlines()) == 4
