"""The progress bar: denoiser evaluations, cells, rate and time left; nothing at all when not at a
terminal.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, TextIO

from sdviz.commands.terminal import bar_stream, line
from sdviz.events import CellFailed, CellFinished, Event, Note, Progress, SweepFinished

if TYPE_CHECKING:
    from tqdm import tqdm


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
