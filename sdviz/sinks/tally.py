"""A sink that counts: what a sweep says in its last line."""

from __future__ import annotations

from sdviz.events import CellFailed, CellFinished, Event


class Tally:
    """How many cells were finished, and which failed for what reason."""

    def __init__(self) -> None:
        self.finished = 0
        self.failed: dict[int, str] = {}

    def handle(self, event: Event) -> None:
        if isinstance(event, CellFinished):
            self.finished += 1
        elif isinstance(event, CellFailed):
            self.failed[event.cell] = event.reason

    def close(self) -> None:
        """Nothing is held open."""
