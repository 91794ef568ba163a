"""A full disk, a kill at any moment, a folder that cannot be written: nothing is lost."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from sdviz.events import CellFailed, SweepFinished, SweepStarted
from tests.archive.sweeps import cell_events, events, make_plan, picture, write

PLAN = make_plan({"cfg": [7.0, 15.0], "sampler": ["Euler a", "DPM++ 2M Karras"]})


def test_an_interrupted_sweep_says_so_and_goes_on(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    assert Archive(tmp_path / "a").status == "running"
    for event in itertools.islice(events(PLAN, PLAN.cells, "a"), 12):
        writer.handle(event)
    writer.close()
    archive = Archive(tmp_path / "a")
    assert archive.status == "interrupted"
    assert [cell.status for cell in archive.cells] == ["done", "done", "waiting", "waiting"]
    assert [cell.index for cell in write(tmp_path, "a", PLAN).todo] == [2, 3]
    assert Archive(tmp_path / "a").counts() == {"done": 4}


def test_a_failed_cell_is_kept_with_its_reason_and_tried_again(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    writer.handle(SweepStarted("a", PLAN, {}))
    for event in [*cell_events(PLAN.cells[0]), CellFailed(1, "NaN <b>again</b>")]:
        writer.handle(event)
    writer.handle(SweepFinished("failed", 1.0))
    writer.close()
    archive = Archive(tmp_path / "a")
    assert (archive.status, archive.cell(1).reason) == ("failed", "NaN <b>again</b>")
    assert [cell.index for cell in write(tmp_path, "a", PLAN).todo] == [1, 2, 3]


def test_a_second_writer_is_told_who_has_the_archive(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    with pytest.raises(ArchiveError, match=f"process {os.getpid()}.*name="):
        ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    writer.close()
    write(tmp_path, "a", PLAN)


def test_a_full_disk_stops_the_sweep_with_a_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(root: Path, path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    monkeypatch.setattr("sdviz.archive.paths.write_below", full)
    with pytest.raises(ArchiveError, match=r"No space left on device.*free some space"):
        for event in events(PLAN, PLAN.cells, "a"):
            writer.handle(event)
            time.sleep(0.02)
    writer.close()
    assert Archive(tmp_path / "a").status == "interrupted"


def test_a_disk_that_is_full_from_the_start_is_no_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("sdviz.archive.store._create", full)
    with pytest.raises(ArchiveError, match=r"cannot be written.*disk is full.*outputs="):
        ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    monkeypatch.undo()
    write(tmp_path, "a", PLAN)


_KILLED = """
import sys, time
from pathlib import Path
from sdviz.archive.writing.writer import ArchiveWriter
from tests.archive.sweeps import events, make_plan
plan = make_plan({"cfg": [float(n) for n in range(1, 31)]})
writer = ArchiveWriter.open(Path(sys.argv[1]), "a", plan, {}, reuse=True)
print("go", flush=True)
for event in events(plan, writer.todo, "a"):
    writer.handle(event)
    time.sleep(0.0005)
writer.close()
"""


def test_killed_at_any_moment_it_goes_on_and_ends_complete(tmp_path: Path) -> None:
    plan = make_plan({"cfg": [float(n) for n in range(1, 31)]})
    left = []
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1, 0.02, 0.05, 0.08):
        child = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None and child.stdout.readline() == "go\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        archive = Archive(tmp_path / "a")
        left.append(len(plan.cells) - archive.counts().get("done", 0))
        assert archive.status in ("interrupted", "finished")
        assert left == sorted(left, reverse=True), "finished cells stay finished"
    write(tmp_path, "a", plan)
    archive = Archive(tmp_path / "a")
    assert archive.counts() == {"done": 30}
    for cell in plan.cells:
        assert np.array_equal(np.asarray(archive.image(cell.index)), picture(cell, 3))
        assert archive.steps(cell.index) == [1, 2, 3]
    with sqlite3.connect(tmp_path / "a" / "sweep.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert len(list((tmp_path / "a" / "images").iterdir())) == 30


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArchiveError, match="file"):
        write(tmp_path / "file", "a", PLAN)
