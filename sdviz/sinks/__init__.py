"""Whatever takes events: the archive, the board, the progress bar."""

from __future__ import annotations

from typing import Protocol

from sdviz.events import Event


class Sink(Protocol):
    """The end of the line for events. `handle` is called in order, from one thread; `close` once,
    always.
    """

    def handle(self, event: Event) -> None: ...

    def close(self) -> None: ...
