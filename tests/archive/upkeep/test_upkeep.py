"""Archives merged, deleted, cleared up and written side by side."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from tests.archive.sweeps import cell_events, make_plan, write
from tests.archive.twins import AXES, PLAN, run


def test_merge_two_archives(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "merge", tmp_path / "all", outputs / "a", outputs / "b")
    assert "12 cells" in text and "8 cells reused from a" in text
    archive = Archive(tmp_path / "all")
    assert archive.axes["cfg"] == [3.0, 7.0, 15.0]
    assert set(archive.axes) == {"prompt", "cfg", "sampler", "seed"}
    assert archive.counts() == {"done": 12}
    assert list(verify(tmp_path / "all")) == []
    for cell in archive.cells:
        assert archive.steps(cell.i) == [1, 2, 3]
    assert "already" in run(capsys, "merge", tmp_path / "all", outputs / "a", status=1)


def test_archives_of_different_models_do_not_merge(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "other", make_plan(AXES, identity="cd" * 32))
    text = run(capsys, "merge", tmp_path / "all", outputs / "a", tmp_path / "other", status=1)
    assert "model=miniature is another model" in text
    assert not (tmp_path / "all").exists()


def test_rm_deletes_what_is_ours_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "a", PLAN)
    write(tmp_path, "b", PLAN)
    (tmp_path / "b" / "images" / "notes.txt").write_text("mine")
    assert "--yes" in run(capsys, "rm", tmp_path / "a", status=1)
    run(capsys, "rm", tmp_path / "a", tmp_path / "b", "--yes")
    assert not (tmp_path / "a").exists()
    left = [file.name for file in (tmp_path / "b").rglob("*") if file.is_file()]
    assert left == ["notes.txt"]
    (tmp_path / "c").mkdir()
    assert "not an archive" in run(capsys, "rm", tmp_path / "c", "--yes", status=1)


def test_a_studys_figures_are_shared_and_outlive_their_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "a", PLAN, reuse=False)
    figure = tmp_path / "a" / "figures" / "cfg.png"
    figure.parent.mkdir()
    Image.new("RGB", (30, 20)).save(figure)
    run(capsys, "export", tmp_path / "a", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.read("a/figures/cfg.png") == figure.read_bytes()
    run(capsys, "report", tmp_path / "a", "--folder")
    assert (tmp_path / "a/report/figure/cfg.png").read_bytes() == figure.read_bytes()
    assert "except 1 file that sdviz did not write" in run(capsys, "rm", tmp_path / "a", "--yes")
    assert [file for file in (tmp_path / "a").rglob("*") if file.is_file()] == [figure]


def test_a_live_archive_is_not_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    try:
        assert "being written" in run(capsys, "rm", tmp_path / "a", "--yes", status=1)
    finally:
        writer.close()
    assert (tmp_path / "a" / "sweep.db").exists()


def test_gc_clears_what_a_killed_sweep_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    done, dead = list(cell_events(PLAN.cells[0])), list(cell_events(PLAN.cells[1]))
    for event in [*done, *dead[:3]]:
        writer.handle(event)
    writer.close()
    stray = tmp_path / "a" / "images" / "0009-cfg=7.png"
    stray.write_bytes(b"x")
    (tmp_path / "a" / "images" / ".writing-abc").write_bytes(b"half")
    text = run(capsys, "gc", tmp_path)
    assert "2 frames of unfinished cells" in text and stray.exists()
    told = json.loads(run(capsys, "gc", tmp_path, "--json"))
    assert {"path": str(stray), "what": "picture without a cell", "bytes": 1} in told
    run(capsys, "gc", tmp_path, "--yes")
    assert not stray.exists()
    assert list(verify(tmp_path / "a")) == []
    assert Archive(tmp_path / "a").steps(0) == [1, 2, 3]
    assert "nothing" in run(capsys, "gc", tmp_path)


def test_every_sql_is_read_only_for_a_reader(outputs: Path) -> None:
    with pytest.raises(ArchiveError, match=r"readonly|read"):
        Archive(outputs / "a").query("DELETE FROM cell")


_TWIN = """
import sys
from pathlib import Path
from sdviz.errors import SdvizError
from tests.archive.sweeps import make_plan, write
plan = make_plan({"cfg": [float(n) for n in range(12)]})
try:
    writer = write(Path(sys.argv[1]), sys.argv[2], plan)
except SdvizError as error:
    print(error)
    sys.exit(error.exit_status)
print("computed", len(writer.todo))
"""


def test_processes_on_the_same_outputs_lose_nothing(tmp_path: Path) -> None:
    names = ["same", "same", "same", "other"]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _TWIN, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in names
    ]
    answers = [child.communicate(timeout=120)[0] for child in children]
    for child, answer in zip(children, answers, strict=True):
        refused = "is being written by process" in answer and child.returncode == 1
        assert refused or (answer.startswith("computed") and child.returncode == 0), answer
    assert children[3].returncode == 0
    assert any(child.returncode == 0 for child in children[:3])
    for name in ("same", "other"):
        assert list(verify(tmp_path / name)) == []
        assert Archive(tmp_path / name).counts() == {"done": 12}
        with sqlite3.connect(tmp_path / name / "sweep.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
