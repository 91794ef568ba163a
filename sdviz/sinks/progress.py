"""The progress bar: denoiser evaluations, cells, rate and time left; nothing at all when not at a
terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from sdviz.events import CellFailed, CellFinished, Event, Note, Progress, SweepFinished

if TYPE_CHECKING:
    from tqdm import tqdm


class ProgressBar:
    """A tqdm bar over the rows that the denoiser evaluates. `cells` is how many are still to be
    computed.
    """

    def __init__(self, cells: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._cells = cells
        self._done = 0
        self._failed = 0
        self._bar: tqdm[Any] | None = None

    def handle(self, event: Event) -> None:
        if not self._shown:
            return
        if isinstance(event, Progress):
            bar = self._open(event.total)
            bar.total = event.total
            bar.update(event.evaluations - bar.n)
        elif isinstance(event, CellFinished | CellFailed):
            self._done += isinstance(event, CellFinished)
            self._failed += isinstance(event, CellFailed)
            self._count()
        elif isinstance(event, Note):
            self._write(event.text)
        elif isinstance(event, SweepFinished):
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, total: int) -> tqdm[Any]:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, unit="eval", file=self._stream, dynamic_ncols=True, smoothing=0.1
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
            print(text, file=self._stream)
        else:
            self._bar.write(text, file=self._stream)
