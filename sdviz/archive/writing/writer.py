"""The archive as a sink: events go to a thread of its own, which writes and commits them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from sdviz.archive.checksums import write_checksums
from sdviz.archive.export.grid import write_grid
from sdviz.archive.lock import ArchiveLock
from sdviz.archive.paths import ArchivePaths, archive_paths
from sdviz.archive.store import settle
from sdviz.archive.writing.encoding import Encoded, Encoders
from sdviz.archive.writing.journal import now
from sdviz.archive.writing.opening import (
    cannot_write,
    lay_out_sweep,
    reuse_cells,
    take_folder,
    write_config,
)
from sdviz.archive.writing.recorder import Recorder
from sdviz.errors import ArchiveError
from sdviz.events import Event, Frame, Note, SweepFinished
from sdviz.plan.cells import Cell, Plan

# Pixels that may wait; 42 frames of 1024x1024. Those of a whole tick should: they are encoded while
# the next one is computed, and a GPU need not wait for them.
_QUEUE_BYTES = 128 << 20
_LATENCY = 0.08  # seconds that an event may wait for its commit, so that the page is fresh


@dataclass(frozen=True)
class _Item:
    """What waits for the archive's thread."""

    event: Event | None  # None closes the archive
    picture: Encoded | None = None  # of a frame


_CLOSE = _Item(None)


class ArchiveWriter:
    """Writes one sweep; a `Sink`. `todo` are the cells that are not finished yet.

    `notes` say what was reused from where; they are in the archive already.
    A failure of the thread (a full disk) is an ArchiveError of every `handle` from then on, or else
    of `close`.
    """

    def __init__(
        self,
        paths: ArchivePaths,
        lock: ArchiveLock,
        db: sqlite3.Connection,
        plan: Plan,
        device: str,
    ) -> None:
        self.path = paths.root
        self.notes: list[Note] = []
        self.todo: Sequence[Cell] = plan.everything
        self._paths, self._lock, self._db = paths, lock, db
        self._recorder = Recorder(paths, db, plan, paths.root.name)
        self._mailbox: Mailbox[_Item] = Mailbox(_QUEUE_BYTES)
        self._encoders = Encoders(device)
        self._failure: ArchiveError | None = None
        self._is_raised = False
        self._is_closing = False
        self._broken = False
        self._finished = False
        self._stale_grid = False
        self._thread = threading.Thread(target=self._work, name="sdviz-archive", daemon=True)

    @classmethod
    def open(
        cls,
        outputs: Path,
        name: str,
        plan: Plan,
        config: Mapping[str, Any],
        *,
        reuse: bool,
        sources: Sequence[Path] | None = None,
        device: str = "cpu",
    ) -> ArchiveWriter:
        """Creates or continues outputs/<name>, and takes its lock.

        With `reuse`, this archive keeps its cells, and missing ones are copied by key from
        neighbouring archives. Without it, an archive of this name is renamed to <name>.1 and a new
        one is started. `sources` are archives to copy from instead of the neighbouring ones;
        `device` is what the sweep computes on.
        Raises ArchiveError if the folder cannot be written, if another process is writing it, or
        if it holds finished cells that the plan has no place for.
        """
        paths = archive_paths(outputs, name)
        lock = ArchiveLock(paths.lock)
        db = take_folder(paths, lock, reuse=reuse)
        try:
            writer = cls(paths, lock, db, plan, device)
            writer._begin(plan, config, reuse=reuse, sources=sources)
        except BaseException as error:
            with contextlib.suppress(OSError):  # the same full disk
                write_checksums(paths, database=settle(db))
            lock.release()
            if isinstance(error, (OSError, sqlite3.Error)):
                raise ArchiveError(cannot_write(paths.root, error)) from error
            raise
        writer._thread.start()
        return writer

    def _begin(
        self, plan: Plan, config: Mapping[str, Any], *, reuse: bool, sources: Sequence[Path] | None
    ) -> None:
        finished = lay_out_sweep(self._recorder, self._paths, plan, config)
        if reuse and len(finished) < len(plan.everything):
            copied, self.notes = reuse_cells(self._recorder, self._paths, plan, finished, sources)
            finished |= copied
            self._stale_grid = bool(copied)
        if finished:
            self.todo = [cell for cell in plan.everything if cell.index not in finished]
        write_config(self._paths, config)

    def handle(self, event: Event) -> None:
        """Queues an event; waits while too many pixels are queued."""
        self._raise()
        pixels = getattr(event, "pixels", None)
        picture = None
        if isinstance(event, Frame) and event.pixels is not None:
            picture = self._encoders.frame(event.pixels)
        self._mailbox.put(_Item(event, picture), 0 if pixels is None else pixels.nbytes)

    def close(self) -> None:
        """Writes what is queued, and leaves a plain database file without a log."""
        if self._thread.is_alive():
            self._mailbox.put(_CLOSE)
            self._thread.join()
        self._encoders.close()
        whole = settle(self._db)
        try:
            if not self._broken:
                write_checksums(self._paths, database=whole)
        except OSError as error:
            self._failure = ArchiveError(cannot_write(self.path, error))
        self._lock.release()
        if not self._is_raised:
            self._raise()

    def _raise(self) -> None:
        if self._failure is not None:  # nothing more is kept, so every event from here on fails
            self._is_raised = True
            raise self._failure

    def _work(self) -> None:
        try:
            while self._transaction():
                pass
            self._end()
        except (OSError, sqlite3.Error) as error:
            self._failure = ArchiveError(cannot_write(self.path, error))
        except BaseException as error:
            # Whatever it is, the sweep must not go on without its archive.
            self._failure = ArchiveError(
                f"{self.path}: the archive failed: {error!r}",
            )
            self._failure.__cause__ = error
        self._broken = self._failure is not None
        if self._broken:
            while not self._is_closing:
                self._take()  # lets the engine's thread run on to the failure

    def _take(self, until: float | None = None) -> _Item | None:
        item = self._mailbox.get(until)
        self._is_closing = self._is_closing or item is _CLOSE
        return item

    def _transaction(self) -> bool:
        """Records the events of the next moments in one commit; False when it was the last."""
        item = self._take()
        if item is _CLOSE:
            return False
        deadline = time.monotonic() + _LATENCY
        self._recorder.begin()
        while item is not None and item.event is not None:
            self._recorder.record(item.event, item.picture)
            item = self._take(deadline)
        self._recorder.commit()
        if self._recorder.ended is not None and not self._finished:
            self._finish(self._recorder.ended)
        return item is not _CLOSE

    def _finish(self, event: SweepFinished) -> None:
        self._finished = True
        stale = self._stale_grid or self._recorder.pictures or not self._paths.grid.exists()
        if stale and event.status != "interrupted":
            note = write_grid(self._paths)
            if note is not None:
                self._recorder.begin()
                self._recorder.record(note)
                self._recorder.commit()

    def _end(self) -> None:
        if not self._finished:
            self._recorder.begin()
            self._recorder.put("status", "interrupted" if self.todo else "finished")
            self._recorder.put("ended", now())
            self._recorder.commit()


T = TypeVar("T")


class Mailbox(Generic[T]):
    """First in, first out. `put` waits while more than `limit` bytes are queued."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._items: deque[tuple[T, int]] = deque()
        self._changed = threading.Condition()

    def put(self, item: T, size: int = 0) -> None:
        """Queues an item of `size` bytes; one above the limit goes in when nothing else is."""
        with self._changed:
            while self._held and self._held + size > self._limit:
                self._changed.wait()
            self._items.append((item, size))
            self._held += size
            self._changed.notify_all()

    def get(self, until: float | None = None) -> T | None:
        """The next item; None where none comes before `until` on time.monotonic's clock."""
        with self._changed:
            while not self._items:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            item, size = self._items.popleft()
            self._held -= size
            self._changed.notify_all()
            return item
