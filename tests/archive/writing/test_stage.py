"""A sweep that is played again: the same rows and pictures, in their order and at their times."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.replay import Pace
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.stage import Stage
from sdviz.errors import ArchiveError
from sdviz.web import describe
from tests.archive.sweeps import make_plan, write

PLAN = make_plan({"cfg": [7.0, 15.0], "sampler": ["Euler a", "Heun"]}, width=32, height=32)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    write(tmp_path / "outputs", "a", PLAN)
    return Archive(tmp_path / "outputs" / "a")


def told(archive: Archive) -> dict[str, object]:
    """The description, without what is the copy's own."""
    own = ("name", "created", "seq", "progress")
    return {k: v for k, v in describe.description(archive).items() if k not in own}


def test_what_was_played_is_the_sweep(archive: Archive, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    with Stage(archive, root, "a-replay") as stage:
        with Archive(root) as begun:
            assert begun.status == "running" and begun.name == "a-replay"
            assert begun.counts() == {"waiting": 4}
            assert begun.axes == archive.axes
        stage.play(speed=0)
    with Archive(root) as played:
        assert played.status == "finished"
        assert told(played) == told(archive)
        assert played.frame_bytes(2, 1) == archive.frame_bytes(2, 1)
        assert np.array_equal(np.asarray(played.image(3)), np.asarray(archive.image(3)))
        assert describe.description(played)["progress"]["evaluations"] == 2 * 3 + 2 * 5, "Heun: two"
    assert list(verify(root)) == []


def test_references_are_played_too(archive: Archive, tmp_path: Path) -> None:
    with sqlite3.connect(archive.paths.database) as db:
        db.execute("INSERT OR REPLACE INTO sweep VALUES ('referred', '[2, 3]')")
    db.close()
    assert len(archive.cells) == 2 and len(archive.everything) == 4
    with Stage(archive, tmp_path / "copy", "b") as stage:
        stage.play(speed=0)
    with Archive(tmp_path / "copy") as played:
        assert told(played) == told(archive)
        assert [cell.status for cell in played.everything] == ["done"] * 4
        assert played.image(3).size == (32, 32)


def test_a_page_that_watches_sees_cells_begin_and_grow(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    watched: list[Archive] = []

    def slept(seconds: float) -> None:
        changed = describe.changes(watched[0], 1)["cells"]
        seen.append((changed[0]["s"], changed[0]["f"]) if changed else ("", 0))

    with Stage(archive, tmp_path / "copy", "a-replay") as stage:
        watched.append(Archive(tmp_path / "copy"))
        monkeypatch.setattr("sdviz.archive.writing.stage.time.sleep", slept)
        stage.play(speed=1e-6)  # so slow that every frame is waited for
    assert seen[:5] == [
        ("running", 0), ("running", 1), ("running", 2), ("running", 3), ("done", 3),
    ]  # fmt: skip


def test_the_times_are_those_of_the_cells(archive: Archive) -> None:
    pace, clock = Pace(archive), []
    for row in archive.query("SELECT * FROM frame ORDER BY n"):
        pace.frame(row)
        clock.append(pace.seconds)
    assert clock == sorted(clock)
    assert clock[-1] == pytest.approx(sum(cell.timings["total_s"] for cell in archive.cells))
    assert clock[2] == pytest.approx(archive.cells[0].timings["total_s"])


def test_a_play_that_is_stopped_is_an_interrupted_sweep(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Stage(archive, tmp_path / "copy", "b"):
        raise KeyboardInterrupt
    with Archive(tmp_path / "copy") as stopped:
        assert stopped.status == "interrupted" and stopped.counts() == {"waiting": 4}
    with Stage(archive, tmp_path / "copy", "b") as again:
        again.play(speed=0)
    assert Archive(tmp_path / "copy").counts() == {"done": 4}


def test_two_plays_of_one_archive_are_not_mixed(archive: Archive, tmp_path: Path) -> None:
    with (
        Stage(archive, tmp_path / "copy", "b"),
        pytest.raises(ArchiveError, match="being written by process"),
        Stage(archive, tmp_path / "copy", "b"),
    ):
        pass


def test_what_is_damaged_does_not_stop_it_and_leads_nowhere(
    archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_bytes(archive.image_path(0).read_bytes())
    with sqlite3.connect(archive.paths.database) as db:
        db.execute("UPDATE cell SET image='../../secret.png' WHERE i=0")
        db.execute("UPDATE frame SET seconds='hot', webp='text' WHERE cell=1")
        db.execute("DELETE FROM event WHERE cell=2")
        db.execute("UPDATE cell SET recipe='{' WHERE i=3")
    db.close()
    with Stage(archive, tmp_path / "copy", "b") as stage:
        stage.play(speed=1000)
    with Archive(tmp_path / "copy") as played:
        assert [cell.status for cell in played.cells] == ["done", "done", "done", "damaged"]
        with pytest.raises(ArchiveError, match="image="):
            played.image(0)
        assert played.frame(2, 3).shape == (32, 32, 3)
    linked = {f"images/{file.name}" for file in (tmp_path / "copy" / "images").iterdir()}
    assert linked == {archive.cell(1).image, archive.cell(2).image}
