"""A sink that keeps what it is given, for tests and notebooks."""

from __future__ import annotations

from typing import TypeVar

from sdviz.events import Event

E = TypeVar("E")


class MemorySink:
    """Holds every event in `events`; its memory grows with the sweep."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = False

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed = True

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]
