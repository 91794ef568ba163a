"""Ctrl-C and SIGTERM: the first asks the sweep to end in an orderly way, the second ends it at
once; and so does the first while nothing is computed yet, as loading a model can take minutes.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from sdviz.commands.terminal import say


class Interruptible:
    """While entered, signals are noted; calling it says whether one came.

    Outside the main thread, where Python takes no signals, it never says so.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.patient = False  # cells are being computed: worth waiting for the end of a tick
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.signal != 0

    @property
    def exit_status(self) -> int:
        """128 plus the signal's number, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        at_once = self.signal or not self.patient
        self.signal = number
        if at_once:
            raise KeyboardInterrupt
        say(
            "", "Stopping. Finished cells are kept. Press Ctrl-C again to stop at once.", error=True
        )
