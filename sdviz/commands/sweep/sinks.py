"""One stream of events, several sinks, and what happens when one of them fails.

The archive is the truth: when it fails, the sweep stops. Every other sink is a view: when it fails,
it is left out with one warning, and the sweep goes on. Warnings are events like all others, so they
reach the terminal, the archive and the page alike.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from sdviz.commands.terminal import bar_stream, line
from sdviz.errors import SdvizError
from sdviz.events import (
    UNSCORED,
    CellFailed,
    CellFinished,
    CellStarted,
    Event,
    Note,
    Progress,
    Sink,
    SweepFinished,
    SweepStarted,
    Warner,
    warning,
)

if TYPE_CHECKING:
    from tqdm import tqdm


class Fanout:
    """Gives each event to `truth` first, then to the views, in order. Itself a Sink."""

    def __init__(self, truth: Sink, views: Sequence[Sink] = ()) -> None:
        self._truth = truth
        self._views = list(views)

    def handle(self, event: Event) -> None:
        self._truth.handle(event)
        for view in list(self._views):
            try:
                view.handle(event)
            except Exception as error:  # the policy above: no view may end a sweep
                self._leave_out(view, error)
        for view in self._views:
            if isinstance(view, Warner):
                self._warn(*view.take_warnings())

    def close(self) -> None:
        """Closes every sink, the latest view first; the truth's failure is raised, at the end."""
        try:
            while self._views:
                view = self._views.pop()
                self._close(view)
        finally:
            self._truth.close()

    def _leave_out(self, view: Sink, error: Exception) -> None:
        if view in self._views:  # a warning of its failure may have met it again
            self._views.remove(view)
            self._failed(view, error)
            self._close(view)

    def _close(self, view: Sink) -> None:
        try:
            view.close()
        except Exception as error:
            self._failed(view, error)

    def _failed(self, view: Sink, error: Exception) -> None:
        _LOG.debug("the failure in full", exc_info=error)
        reason = str(error) if isinstance(error, SdvizError) else f"{type(error).__name__}: {error}"
        self._warn(f"{type(view).__name__} failed and gets no more events: {reason}")

    def _warn(self, *texts: str) -> None:
        for text in texts:
            self.handle(warning(text))


_LOG = logging.getLogger(__name__)


class EventLog:
    """A debug line for each event but frames and progress, which are many."""

    def handle(self, event: Event) -> None:
        match event:
            case SweepStarted(name=name, plan=plan, versions=versions):
                packages = ", ".join(" ".join(pair) for pair in versions.items())
                _LOG.debug("sweep %s, %d cells; %s", name, len(plan.everything), packages)
            case CellStarted(cell=cell):
                _LOG.debug("cell %d begins", cell)
            case CellFinished(cell=cell, timings=times, notes=notes):
                split = (
                    f"encode {times.encode_s:.3f}, denoise {times.denoise_s:.3f}, "
                    f"preview {times.preview_s:.3f}, decode {times.decode_s:.3f}"
                )
                _LOG.debug(
                    "cell %d done, seconds: %s; %.1f rows per tick%s",
                    cell, split, times.batch, "".join(f"; {note}" for note in notes),
                )  # fmt: skip
            case CellFailed(cell=cell, reason=reason):
                _LOG.debug("cell %d failed: %s", cell, reason)
            case Note(kind=kind, text=text):
                _LOG.debug("%s: %s", kind, text)
            case SweepFinished(status=status, seconds=seconds):
                _LOG.debug("%s after %.1f s", status, seconds)

    def close(self) -> None:
        """Nothing is held open."""


class Tally:
    """How many cells were finished, and which failed for what reason."""

    def __init__(self) -> None:
        self.finished = 0
        self.failed: dict[int, str] = {}
        self.unscored: list[str] = []  # a sentence on each

    def handle(self, event: Event) -> None:
        if isinstance(event, CellFinished):
            self.finished += 1
        elif isinstance(event, CellFailed):
            self.failed[event.cell] = event.reason
        elif isinstance(event, Note) and event.kind == UNSCORED:
            self.unscored.append(event.text)

    def close(self) -> None:
        """Nothing is held open."""


class ProgressBar:
    """A tqdm bar over the rows that the denoiser evaluates. `cells` is how many are still to be
    computed.
    """

    def __init__(self, cells: int, stream: TextIO | None = None) -> None:
        self._stream = stream or bar_stream()
        self._shown = self._stream.isatty()
        self._cells = cells
        self._done = 0
        self._failed = 0
        self._bar: tqdm[Any] | None = None
        self._redirect = contextlib.ExitStack()

    def handle(self, event: Event) -> None:
        if isinstance(event, Note) and event.kind == "warning":
            self._write(f"warning: {event.text}")  # also into the log of a job
        elif not self._shown:
            return
        elif isinstance(event, Note):
            self._write(event.text)
        elif isinstance(event, Progress):
            bar = self._open(event.total)
            bar.total = event.total
            bar.update(event.evaluations - bar.n)
        elif isinstance(event, CellFinished | CellFailed):
            self._done += isinstance(event, CellFinished)
            self._failed += isinstance(event, CellFailed)
            self._count()
        elif isinstance(event, SweepFinished):
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._redirect.close()

    def _open(self, total: int) -> tqdm[Any]:
        if self._bar is None:
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            self._redirect.enter_context(logging_redirect_tqdm())  # warnings above the bar
            self._bar = tqdm(
                total=total, unit="eval", file=self._stream, smoothing=0.1, **_size(self._stream)
            )
            self._count()
        return self._bar

    def _count(self) -> None:
        if self._bar is None:
            return
        failed = f", {self._failed} failed" if self._failed else ""
        self._bar.set_postfix_str(f"cells {self._done}/{self._cells}{failed}", refresh=False)

    def _write(self, text: str) -> None:
        if self._bar is None:
            print(line(text), file=self._stream, flush=True)
        else:
            self._bar.write(line(text), file=self._stream)


def _size(stream: TextIO) -> dict[str, Any]:
    """The terminal's size for tqdm, which shows nothing at all on one of no lines or columns, as
    containers and recorded sessions have.
    """
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    return {"dynamic_ncols": True} if columns and lines else {"ncols": 80, "nrows": 24}
