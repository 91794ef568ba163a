"""A sweep that is killed at random moments goes on, and ends as if nothing had been."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from tests.acceptance.forks import Forks

KILLS = 20
SEED = 20
COMMAND = [
    "cfg=1,7,15", "sampler=euler_a,ddim", "seed=1,2", "steps=3", "visdom=off", "name=sweep",
    "engine.batch=2", "preview.decoder=tiny",
]  # fmt: skip
CELLS = 12

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]


class Sweeps(Forks):
    """Runs COMMAND in a folder, killed after some seconds or not at all."""

    def sweep(self, folder: Path, kill_after: float | None = None) -> dict[str, Any]:
        answer = self(folder, COMMAND, kill_after=kill_after)
        assert answer["killed"] or answer["status"] == 0, self.log.read_text()
        return answer


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the sweeps may put temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def sweeps(tmp_path: Path, temporary: Path) -> Iterator[Sweeps]:
    made = Sweeps(tmp_path / "log", temporary)
    yield made
    made.close()


def archive_of(folder: Path) -> Path:
    return folder / "outputs" / "sweep"


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def assert_whole(root: Path) -> None:
    """What a reader may rely on after a kill, before anything has mended it."""
    if not (root / "sweep.db").exists():
        return
    with sqlite3.connect(root / "sweep.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    with Archive(root) as archive:
        for cell in archive.cells:
            if cell.status == "done":
                archive.image(cell.i).load()


def assert_as_undisturbed(root: Path, undisturbed: Path) -> None:
    assert_whole(root)
    assert list(verify(root)) == []
    assert files(root) == files(undisturbed)
    with Archive(root) as archive, Archive(undisturbed) as expected:
        assert archive.status == "finished"
        assert archive.counts() == {"done": CELLS}
        assert [c.key for c in archive.cells] == [c.key for c in expected.cells]
        assert len({c.key for c in archive.cells}) == CELLS
        for i in range(CELLS):
            ours = np.asarray(archive.image(i), np.int16)
            assert np.abs(ours - np.asarray(expected.image(i), np.int16)).max() <= 1
            assert archive.steps(i) == [1, 2, 3]


def test_killed_at_random_moments_it_ends_complete(
    tmp_path: Path, temporary: Path, sweeps: Sweeps
) -> None:
    sweeps.sweep(tmp_path / "warm")  # the first reads the weights from the disk
    whole = sweeps.sweep(tmp_path / "undisturbed")["seconds"]
    undisturbed = archive_of(tmp_path / "undisturbed")
    moments = random.Random(SEED)
    kills = sweep = 0
    while kills < KILLS:
        folder = tmp_path / f"sweep{sweep}"
        attempt = sweeps.sweep(folder, kill_after=moments.uniform(0, whole))
        if attempt["killed"]:
            kills += 1
            assert_whole(archive_of(folder))
        else:  # it was done before; the next kill meets a new sweep
            assert_as_undisturbed(archive_of(folder), undisturbed)
            sweep += 1
            whole = min(whole, attempt["seconds"])
    folder = tmp_path / f"sweep{sweep}"
    sweeps.sweep(folder)
    assert_as_undisturbed(archive_of(folder), undisturbed)
    taken_up = re.findall(r"^(\d+) cells? to compute", (tmp_path / "log").read_text(), re.MULTILINE)
    assert any(0 < int(left) < CELLS for left in taken_up), "some kill came in the middle"
    assert list(temporary.iterdir()) == []
