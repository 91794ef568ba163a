"""Databases with flipped bits and bytes, and names: answered or refused, and nothing outside."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdviz.archive.paths import ArchivePaths, archive_paths, readable_name
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.archive.command import main
from sdviz.errors import ArchiveError, ConfigError
from sdviz.request.naming import check_name
from tests.archive.fixtures import PLAN
from tests.archive.reading import read_everything
from tests.archive.sweeps import events
from tests.fuzzing import fuzzed

EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=9)))
SIGNS = "abc. /\\:*?\"<>|\x00\x1b\n\u202e\ud800é城😀-_CONnul1~%#'$"


@pytest.fixture(scope="module")
def pair(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole archive, b, and one beside it to be damaged, a."""
    folder = tmp_path_factory.mktemp("pair")
    shutil.copytree(whole, folder / "a")
    shutil.copytree(whole, folder / "b")
    return folder


def use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All that reads and mends: every error names its archive, and b is always shown."""
    for command in (["list"], ["find", "cfg=7"], ["gc", "--yes"]):
        assert main([*command[:2], str(folder), *command[2:]][: len(command) + 1]) == 0
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert command[0] == "gc" or str(folder / "b") in told.out
    assert main(["show", str(folder / "a"), "--json"]) in (0, 1)
    assert main(["export", str(folder / "a"), str(folder / "cells.csv")]) in (0, 1)
    list(verify(folder / "a"))
    read_everything(folder / "a")
    capsys.readouterr()


@fuzzed(50)
@given(edits=EDITS, cut=st.none() | st.floats(0, 1))
def test_bytes_of_a_database(
    pair: Path, whole: Path, capsys: pytest.CaptureFixture[str],
    edits: list[tuple[float, bytes]], cut: float | None,
) -> None:  # fmt: skip
    data = bytearray((whole / "sweep.db").read_bytes())
    for at, new in edits:
        place = int(at * len(data))
        data[place : place + len(new)] = new
    data = data if cut is None else data[: int(cut * len(data))]
    (pair / "a" / "sweep.db").write_bytes(bytes(data))
    use(pair, capsys)


@fuzzed(40)
@given(bits=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 7)), min_size=1, max_size=4))
def test_bits_of_a_schema(
    pair: Path, whole: Path, capsys: pytest.CaptureFixture[str], bits: list[tuple[int, int]]
) -> None:
    """The first page has the header and the tables' SQL, in which one bit changes all."""
    data = bytearray((whole / "sweep.db").read_bytes())
    for at, bit in bits:
        data[at] ^= 1 << bit
    (pair / "a" / "sweep.db").write_bytes(bytes(data))
    use(pair, capsys)


VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=8),
    st.binary(max_size=8),
    st.sampled_from(
        [
            *("[]", "{}", "[[]]", "null", "NaN", "[1e999]", '{"cfg":NaN}', "9" * 5000),
            '{"a":' * 3000,
            *('[{"a":1}]', '"\\ud800"', "[-1]", "[99999999999999999999]", '{"steps":1e400}'),
            *("../../etc/passwd", "images/../../x", "images/\x1b.png", "done", "running", "failed"),
        ]
    ),
)  # fmt: skip
COLUMNS = {
    "sweep": ("key", "value"),
    "axis": ("position", "keys", '"values"'),
    "cell": (
        *("i", "coords", "key", "recipe", "status", "image", "bytes", "sha256", "pixels", "reason"),
        *("notes", "timings", "frames", "last_step", "schedule", "source", "seq"),
    ),
    "frame": ("n", "cell", "step", "sigma", "timestep", "seconds", "mean", "webp", "crc"),
    "schedule": ("id", "sampler", "steps", "sigmas", "timesteps"),
    "event": ("n", "kind", "cell", "data", "seq"),
}
PLACES = st.sampled_from([(table, column) for table in COLUMNS for column in COLUMNS[table]])


@fuzzed(30)
@given(changes=st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=4))
def test_values_of_a_database(
    pair: Path, whole: Path, capsys: pytest.CaptureFixture[str],
    changes: list[tuple[tuple[str, str], object]],
) -> None:  # fmt: skip
    shutil.copyfile(whole / "sweep.db", pair / "a" / "sweep.db")
    with sqlite3.connect(pair / "a" / "sweep.db") as db:
        for (table, column), value in changes:
            rowid = "key" if table == "sweep" else "rowid"
            where = f"{rowid} IN (SELECT {rowid} FROM {table} LIMIT 3)"
            try:
                db.execute(f"UPDATE OR IGNORE {table} SET {column}=? WHERE {where}", (value,))
            except (sqlite3.Error, UnicodeEncodeError):
                continue  # the schema does not let that in
    db.close()
    use(pair, capsys)
    sweep_beside(pair)


def sweep_beside(folder: Path) -> None:
    """A sweep that asks the archives beside it what they have."""
    try:
        writer = ArchiveWriter.open(folder, "c", PLAN, {}, reuse=True)
        for event in events(PLAN, writer.todo, "c"):
            writer.handle(event)
        writer.close()
        assert list(verify(folder / "c")) == []
    finally:
        shutil.rmtree(folder / "c", ignore_errors=True)


@fuzzed(300)
@given(name=st.text(SIGNS, max_size=12) | st.text(max_size=300))
def test_names(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """A name that is taken is a folder inside of outputs, and of the same name everywhere."""
    outputs = tmp_path_factory.getbasetemp() / "names"
    for check in (lambda: archive_paths(outputs, name).root, lambda: outputs / check_name(name)):
        try:
            root = check()
        except (ArchiveError, ConfigError):
            continue
        assert root.parent == outputs
        root.mkdir(parents=True)
        root.rmdir()
    file = readable_name(0, 1, {"prompt": name, "cfg": "7"})
    try:
        path = ArchivePaths(outputs).image(f"images/{file}")
    except ArchiveError:
        return
    assert path.parent == outputs / "images" and path.name == file


@fuzzed(200)
@given(name=st.text(SIGNS, max_size=20))
def test_names_of_images(name: str) -> None:
    root = Path("/nowhere/archive")
    for given_name in (name, f"images/{name}"):
        try:
            path = ArchivePaths(root).image(given_name)
        except ArchiveError:
            continue
        assert path.parent == root / "images" and path.name not in ("", ".", "..")
