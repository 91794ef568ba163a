"""Threads that read archives, so that a page never waits for a disk, nor for another archive.

A stranger's archive may take for ever: its files may be pipes, its rows may be millions. Each
archive holds one thread at most, who asks gives up after a while, and the process ends without
waiting.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sdviz.archive.guard import named
from sdviz.archive.paths import DATABASE
from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError

_PATIENCE_S = 10.0  # the longest wait of a request
_OPEN = 32  # archives that are kept open
_MOST_THREADS = 128
_MOST_LATE = 100  # archives that do not answer; the remaining threads are the others'

T = TypeVar("T")


class NoAnswer(ArchiveError):
    """The archive did not answer in time; it may do so later."""


class Threads:
    """Daemon threads, as many as there are jobs, up to a limit."""

    def __init__(self, name: str, most: int = _MOST_THREADS) -> None:
        self._name, self._most = name, most
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = 0

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Has `job` done, soon."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            try:
                result = job()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
            del future, job
            with self._lock:
                self._idle += 1


class _Opened:
    """An open archive; it answers one question at a time."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.late = False  # a question timed out and is still being answered
        self.inode = 0
        self.archive: Archive | None = None

    def ask(self, path: Path, question: Callable[[Archive], T]) -> T:
        """In a thread."""
        try:
            inode = (path / DATABASE).stat().st_ino
        except OSError:
            inode = 0
        with named(path):
            if self.archive is None or inode != self.inode:  # no deleted namesake
                self.close()
                self.archive, self.inode = Archive(path), inode
            return question(self.archive)

    def close(self) -> None:
        if self.archive is not None:
            self.archive.close()
            self.archive = None


class Readers:
    """Reads archives in separate threads."""

    def __init__(self, name: str) -> None:
        self._threads = Threads(name)
        self._opened: OrderedDict[Path, _Opened] = OrderedDict()
        self._late = 0

    async def read(
        self, path: Path, question: Callable[[Archive], T], patience: float = _PATIENCE_S
    ) -> T:
        """The answer of `question`. Raises ArchiveError where the archive cannot be read, or does
        not answer within `patience` seconds.
        """
        opened = self._opened.setdefault(path, _Opened())
        self._opened.move_to_end(path)
        if opened.late or self._late >= _MOST_LATE:
            raise NoAnswer(f"{path} does not answer")
        deadline = time.monotonic() + patience
        try:
            await asyncio.wait_for(opened.turn.acquire(), patience)
        except asyncio.TimeoutError:
            raise NoAnswer(f"{path} does not answer") from None
        future = self._threads.submit(lambda: opened.ask(path, question))
        answer = asyncio.wrap_future(future)
        answer.add_done_callback(lambda done: self._answered(opened, done))
        try:
            return await asyncio.wait_for(
                asyncio.shield(answer), max(0.1, deadline - time.monotonic())
            )
        except asyncio.TimeoutError:
            if not answer.done():
                opened.late = True
                self._late += 1
            raise NoAnswer(f"{path} does not answer") from None

    def _answered(self, opened: _Opened, answer: asyncio.Future[Any]) -> None:
        if opened.late:
            opened.late = False
            self._late -= 1
        if not answer.cancelled():
            answer.exception()  # retrieved, even if no request waits for it
        opened.turn.release()
        self._close_old()

    def _close_old(self) -> None:
        for path in list(self._opened)[: max(0, len(self._opened) - _OPEN)]:
            opened = self._opened[path]
            if not opened.turn.locked():
                self._threads.submit(opened.close)
                del self._opened[path]
