"""Fan-out with its failure policy, the progress bar, the tally."""

from __future__ import annotations

import contextlib
import io
import logging
import os

import numpy as np
import pytest

from sdviz.commands.sweep.sinks import EventLog, Fanout, ProgressBar, Tally
from sdviz.errors import ArchiveError, BoardError
from sdviz.events import (
    CellFailed,
    CellFinished,
    CellStarted,
    Event,
    Note,
    Progress,
    SweepFinished,
    Timings,
    warning,
)
from tests.commands.sweep.memory import MemorySink

FINISHED = CellFinished(0, np.zeros((8, 8, 3), np.uint8), Timings())


class Failing(MemorySink):
    """Takes one event, then fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def handle(self, event: Event) -> None:
        if self.events:
            raise self.error
        super().handle(event)


class FailingToClose(MemorySink):
    def close(self) -> None:
        raise BoardError("cannot close")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_sink_gets_every_event_in_order() -> None:
    sinks = [MemorySink(), MemorySink(), MemorySink()]
    fanout = Fanout(sinks[0], sinks[1:])
    events: list[Event] = [CellStarted(0), FINISHED, SweepFinished("finished", 1.0)]
    for event in events:
        fanout.handle(event)
    fanout.close()
    assert all(sink.events == events and sink.closed for sink in sinks)
    assert sinks[0].of(CellFinished) == [FINISHED]


def test_a_failing_view_is_one_warning_and_the_sweep_goes_on() -> None:
    truth, view, other = MemorySink(), Failing(BoardError("Visdom is gone")), MemorySink()
    fanout = Fanout(truth, [view, other])
    for cell in range(4):
        fanout.handle(CellStarted(cell))
    fanout.close()
    assert view.closed
    for sink in (truth, other):
        assert sink.of(CellStarted) == [CellStarted(cell) for cell in range(4)]
        assert sink.of(Note) == [warning("Failing failed and gets no more events: Visdom is gone")]


class Gone(MemorySink):
    """Its server goes away after the first event: another thread notices."""

    def take_warnings(self) -> list[str]:
        return ["the server has gone"] if len(self.events) == 1 else []


def test_a_views_own_warning_reaches_all_sinks() -> None:
    truth, stream = MemorySink(), Terminal()
    bar = ProgressBar(2, stream)
    fanout = Fanout(truth, [bar, Gone()])
    fanout.handle(CellStarted(0))
    fanout.handle(Progress(10, 80))
    fanout.close()
    assert truth.of(Note) == [warning("the server has gone")]
    assert "warning: the server has gone" in stream.getvalue()


def test_a_failing_archive_stops_the_sweep() -> None:
    view = MemorySink()
    fanout = Fanout(Failing(ArchiveError("disk full")), [view])
    fanout.handle(CellStarted(0))
    with pytest.raises(ArchiveError, match="disk full"):
        fanout.handle(CellStarted(1))
    assert view.events == [CellStarted(0)]


def test_everything_is_closed_even_when_closing_fails() -> None:
    truth, view = MemorySink(), MemorySink()
    Fanout(truth, [FailingToClose(), view]).close()
    assert truth.closed and view.closed
    with pytest.raises(BoardError):
        Fanout(FailingToClose(), [view]).close()


def test_the_bar_counts_evaluations_and_cells_at_a_terminal() -> None:
    stream = Terminal()
    bar = ProgressBar(2, stream)
    bar.handle(Note("batch", "up to 8 rows"))
    bar.handle(Progress(10, 80))
    bar.handle(FINISHED)
    bar.handle(CellFailed(1, "why"))
    bar.handle(Progress(80, 80))
    bar.handle(SweepFinished("failed", 1.0))
    bar.close()
    shown = stream.getvalue()
    assert "up to 8 rows" in shown and "80/80" in shown and "cells 1/2, 1 failed" in shown


def test_a_terminal_without_a_size_has_a_bar_too() -> None:
    """Containers and recorded sessions say that they have no lines and no columns."""
    terminal, end = os.openpty()
    with os.fdopen(end, "w") as stream:
        bar = ProgressBar(2, stream)
        bar.handle(Progress(10, 80))
        bar.handle(Progress(80, 80))
        bar.close()
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends whose other side is closed
        while piece := os.read(terminal, 4096):
            shown += piece
    os.close(terminal)
    assert b"80/80" in shown


def test_the_log_tells_what_happens_to_each_cell(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog()
    with caplog.at_level(logging.DEBUG):
        for event in (CellStarted(0), FINISHED, CellFailed(1, "why"), Note("batch", "8 rows")):
            log.handle(event)
    begun, done, failed, note = (record.message for record in caplog.records)
    assert begun == "cell 0 begins" and done.startswith("cell 0 done, seconds: encode 0.000")
    assert (failed, note) == ("cell 1 failed: why", "batch: 8 rows")


def test_a_warning_does_not_break_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is written above it: nothing of the bar is left on its line."""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        bar = ProgressBar(2, stream)
        bar.handle(Progress(10, 80))
        logging.getLogger("sdviz").warning("Visdom is gone")
        bar.close()
    finally:
        logging.getLogger().removeHandler(handler)
    assert "\rVisdom is gone\n" in stream.getvalue()


def test_the_bar_is_silent_elsewhere() -> None:
    stream = io.StringIO()
    bar = ProgressBar(2, stream)
    for event in (Progress(10, 80), Note("batch", "up to 8 rows"), FINISHED):
        bar.handle(event)
    bar.close()
    assert stream.getvalue() == ""


def test_warnings_reach_the_log_of_a_job() -> None:
    stream = io.StringIO()
    bar = ProgressBar(2, stream)
    bar.handle(warning("no page"))
    bar.close()
    assert stream.getvalue() == "warning: no page\n"


def test_the_tally_tells_finished_from_failed() -> None:
    tally = Tally()
    for event in (CellStarted(0), FINISHED, CellFailed(3, "not a number")):
        tally.handle(event)
    assert tally.finished == 1 and tally.failed == {3: "not a number"}
