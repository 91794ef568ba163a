"""One stream of events, several sinks, and what happens when one of them fails.

The archive is the truth: when it fails, the sweep stops. Every other sink is a view: when it fails,
it is left out with one warning, and the sweep goes on. Warnings are events like all others, so they
reach the terminal, the archive and the page alike.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sdviz.errors import SdvizError
from sdviz.events import (
    UNSCORED,
    CellFailed,
    CellFinished,
    CellStarted,
    Event,
    Note,
    Sink,
    SweepFinished,
    SweepStarted,
    Warner,
    warning,
)


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
