"""One press of *Run* on the control pane, and how it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdviz.commands.sweep.interrupt import Interruptible
from sdviz.events import CellFailed, CellFinished, CellStarted, Event, SweepStarted

if TYPE_CHECKING:
    from sdviz.request.request import Request

_TELL_S = 0.5  # between two reports of progress


class Steering(Interruptible):
    """Says when a sweep is to stop: a signal, "now", or "after this cell"; a sink, to know the
    cells.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = ""  # "", "after", "now"
        self.ended = 0
        self._riding: set[int] = set()  # cells being denoised
        self._awaited: set[int] | None = None  # those that were, when "after" was asked

    def __call__(self) -> bool:
        waited = self._awaited is not None and not self._awaited
        return super().__call__() or self.asked == "now" or waited

    @property
    def exit_status(self) -> int:
        return super().exit_status if self.signal else 0

    def stop(self, when: str) -> None:
        """Ends the sweep "now", or "after" the cells that are being denoised."""
        self.asked = when
        if when == "after" and self._awaited is None:
            self._awaited = set(self._riding)

    def handle(self, event: Event) -> None:
        if isinstance(event, CellStarted):
            self._riding.add(event.cell)
        elif isinstance(event, CellFinished | CellFailed):
            self.ended += 1
            self._riding.discard(event.cell)
            if self._awaited is not None:
                self._awaited.discard(event.cell)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Job:
    """One press of *Run*."""

    number: int
    request: Request
    text: str  # what the page calls it
    steering: Steering
    page: str = ""
    status: str = ""

    def summary(self) -> dict[str, Any]:
        """The run as the page lists it."""
        cells = len(self.request.plan.everything)
        return {
            "job": self.number,
            "text": self.text,
            "page": self.page,
            "status": self.status,
            "cells": cells,
            "done": self.steering.ended,
            "stopping": self.steering.asked,
        }


class Ticker:
    """A sink that calls at a sweep's begin and each cell's end, twice a second at most."""

    def __init__(self, call: Callable[[Event], None]) -> None:
        self._call = call
        self._due = 0.0

    def handle(self, event: Event) -> None:
        ended = isinstance(event, CellFinished | CellFailed) and time.monotonic() > self._due
        if ended or isinstance(event, SweepStarted):
            self._due = time.monotonic() + _TELL_S
            self._call(event)

    def close(self) -> None:
        """Nothing is held."""


def title(request: Request) -> str:
    """What the queue calls a sweep: its axes, or its prompt."""
    axes = [f"{axis.name} ({len(axis.values)})" for axis in request.plan.axes]
    prompt = request.plan.cells[0].recipe.prompt
    return " x ".join(axes) or (prompt[:60] + "..." if len(prompt) > 60 else prompt) or "one image"
