"""How a sweep ends: finished, with failed cells, interrupted, refused. The engine is a stand-in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdviz import engine
from sdviz.archive.reader import Archive
from sdviz.commands.sweep.conduct import conduct
from sdviz.errors import ArchiveError, ModelError
from sdviz.events import CellFailed, CellFinished, CellStarted, Event, Note, Timings
from sdviz.plan.cells import Cell
from sdviz.plan.config import Config, VisdomConfig
from sdviz.plan.planning import make_axes, make_plan
from sdviz.plan.settings import DEFAULTS
from sdviz.request.request import Request

Emit = Callable[[Event], None]


@pytest.fixture
def request_of_three(tmp_path: Path) -> Request:
    """Three cells of 8x8 pixels, without a page."""
    fixed = {**DEFAULTS, "model": "m", "steps": 1, "width": 8, "height": 8}
    axes = make_axes({"cfg": [7.0, 15.0, 20.0]})
    del fixed["cfg"]
    plan = make_plan(axes, fixed, defaults={"m": {}}, identities={"m": "ab" * 32})
    config = Config(name="three", outputs=str(tmp_path), visdom=VisdomConfig(enabled=False))
    return Request(config, plan, {"name": "three"}, [])


def finish(cell: Cell, emit: Emit) -> None:
    emit(CellStarted(cell.index))
    emit(CellFinished(cell.index, np.full((8, 8, 3), cell.index, np.uint8), Timings()))


def stand_in(monkeypatch: pytest.MonkeyPatch, compute: Callable[[Cell, Emit], None]) -> list[int]:
    """Puts `compute` in the engine's place; returns the list of the cells that it was given."""
    given: list[int] = []

    def run(
        cells: Sequence[Cell], *, emit: Emit, should_stop: Callable[[], bool], **others: Any
    ) -> None:
        for cell in cells:
            if should_stop():
                return
            given.append(cell.index)
            compute(cell, emit)

    monkeypatch.setattr(engine, "run", run)
    return given


def status_of(request: Request) -> str:
    with Archive(Path(request.config.outputs) / "three") as archive:
        return archive.status


def test_warnings_are_kept_in_the_archive(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, finish)
    asked = replace(request_of_three, warnings=["eta: has no effect on Heun"])
    assert conduct(asked) == conduct(asked) == 0
    with Archive(Path(asked.config.outputs) / "three") as archive:
        notes = [e.text for e in archive.events() if isinstance(e, Note)]
        assert notes == ["eta: has no effect on Heun"]


def test_the_last_line_says_where_the_archive_is(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = stand_in(monkeypatch, finish)
    assert conduct(request_of_three) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 cells to compute"
    assert lines[-1].startswith("3 cells in ") and lines[-1].endswith("three")
    assert status_of(request_of_three) == "finished" and given == [0, 1, 2]
    assert conduct(request_of_three) == 0
    assert "nothing to compute" in capsys.readouterr().out and given == [0, 1, 2]


def test_a_failed_cell_is_listed_and_tried_again_next_time(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_the_second(cell: Cell, emit: Emit) -> None:
        if cell.index == 1:
            emit(CellFailed(1, "NaN even in float32"))
        else:
            finish(cell, emit)

    stand_in(monkeypatch, fail_the_second)
    assert conduct(request_of_three) == 1
    said = capsys.readouterr()
    assert "cell 1 failed: NaN even in float32" in said.err
    assert said.out.splitlines()[-1].startswith("2 cells, 1 failed, in ")
    assert status_of(request_of_three) == "failed"
    given = stand_in(monkeypatch, finish)
    assert conduct(request_of_three) == 0 and given == [1]
    assert status_of(request_of_three) == "finished"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_sweep_between_two_cells(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def interrupt_the_second(cell: Cell, emit: Emit) -> None:
        if cell.index == 1:
            os.kill(os.getpid(), number)
        finish(cell, emit)

    before = signal.getsignal(number)
    given = stand_in(monkeypatch, interrupt_the_second)
    assert conduct(request_of_three) == status
    assert given == [0, 1] and status_of(request_of_three) == "interrupted"
    assert signal.getsignal(number) is before
    given = stand_in(monkeypatch, finish)
    assert conduct(request_of_three) == 0 and given == [2]


def test_a_second_signal_does_not_wait(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt_twice(cell: Cell, emit: Emit) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("still here")

    stand_in(monkeypatch, interrupt_twice)
    assert conduct(request_of_three) == 130
    assert status_of(request_of_three) == "interrupted"


def test_a_model_that_cannot_be_loaded_leaves_an_orderly_archive(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(cell: Cell, emit: Emit) -> None:
        raise ModelError("model=m: damaged")

    stand_in(monkeypatch, refuse)
    with pytest.raises(ModelError):
        conduct(request_of_three)
    assert status_of(request_of_three) == "failed"
    stand_in(monkeypatch, finish)
    assert conduct(request_of_three) == 0


def test_an_archive_that_is_in_use_is_refused_before_anything_runs(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def run_again(cell: Cell, emit: Emit) -> None:
        try:
            conduct(replace(request_of_three))
        except ArchiveError as error:
            refused.append(str(error))
        finish(cell, emit)

    stand_in(monkeypatch, run_again)
    assert conduct(request_of_three) == 0
    assert len(refused) == 3 and "three" in refused[0]


def test_an_archive_that_fails_ends_the_sweep_whatever_guards_a_cell(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say. Were it taken for the cell's failure, all would be computed for nothing."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def compute(cell: Cell, emit: Emit) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # until the archive's thread has failed
            try:
                finish(cell, emit)
            except Exception as error:  # the guard of a cell
                emit(CellFailed(cell.index, str(error)))
            time.sleep(0.01)

    given = stand_in(monkeypatch, compute)
    monkeypatch.setattr("sdviz.archive.paths.write_below", full)
    monkeypatch.setattr("sdviz.archive.writing.opening.write_config", lambda *_: None)
    monkeypatch.setattr("sdviz.archive.writing.writer.write_config", lambda *_: None)
    with pytest.raises(ArchiveError, match=r"No space left on device.*free some space"):
        conduct(request_of_three)
    assert given == [0], "no further cell is computed"


def test_a_setting_that_made_no_difference_is_said(
    request_of_three: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the terminal and in the archive."""
    told = "cfg: made no difference on m"

    def alike(cell: Cell, emit: Emit) -> None:
        emit(CellStarted(cell.index))
        emit(CellFinished(cell.index, np.zeros((8, 8, 3), np.uint8), Timings()))

    stand_in(monkeypatch, alike)
    assert conduct(request_of_three) == 0
    said = capsys.readouterr()
    assert (said.out + said.err).count(told) == 1, "once, also where no bar is shown"
    folder = Path(request_of_three.config.outputs) / "three"
    with Archive(folder) as archive:
        notes = [event.text for event in archive.events() if isinstance(event, Note)]
    assert [note for note in notes if note.startswith(told)]
