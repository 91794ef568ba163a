"""The archive as a sink: events go to a thread of its own, which encodes, writes and commits."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.checksums import write_checksums
from sdviz.archive.grid import write_grid
from sdviz.archive.journal import now
from sdviz.archive.layout import lay_out
from sdviz.archive.lock import ArchiveLock
from sdviz.archive.machine import machine, versions
from sdviz.archive.mailbox import Mailbox
from sdviz.archive.paths import ArchivePaths, archive_paths
from sdviz.archive.png import write_aside
from sdviz.archive.recorder import Recorder
from sdviz.archive.retire import retire
from sdviz.archive.reuse import copy_finished
from sdviz.archive.store import connect_writer, dumps, loads, settle
from sdviz.errors import ArchiveError
from sdviz.events import Event, Note, SweepFinished
from sdviz.plan import Cell, Plan

_QUEUE_BYTES = 32 << 20  # pixels that may wait; ten frames of 1024x1024, or 2,600 of 64x64
_LATENCY = 0.08  # seconds that an event may wait for its commit, so that the page is fresh
_CLOSE = object()


class ArchiveWriter:
    """Writes one sweep; a `Sink`. `todo` are the cells that are not finished yet.

    `notes` say what was reused from where; they are in the archive already.
    A failure of the thread (a full disk) is an ArchiveError of the next `handle` or `close`.
    """

    def __init__(
        self, paths: ArchivePaths, lock: ArchiveLock, db: sqlite3.Connection, plan: Plan
    ) -> None:
        self.path = paths.root
        self.notes: list[Note] = []
        self.todo: Sequence[Cell] = plan.everything
        self._paths, self._lock, self._db = paths, lock, db
        self._recorder = Recorder(paths, db, plan, paths.root.name)
        self._mailbox: Mailbox[object] = Mailbox(_QUEUE_BYTES)
        self._failure: ArchiveError | None = None
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
    ) -> ArchiveWriter:
        """Makes outputs/<name>, or goes on with it, and takes its lock.

        With `reuse`, cells that this archive has stay, and others are copied from the archives
        beside it by their key; without, an archive of this name is kept as <name>.1 and another
        is begun. `sources` are archives to copy from instead of those beside.
        Raises ArchiveError where the folder cannot be written, another process writes it, or it
        holds finished cells that the plan has no place for.
        """
        paths = archive_paths(outputs, name)
        lock = ArchiveLock(paths.lock)
        try:
            paths.root.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            if not reuse and paths.database.exists():
                retire(paths.root)
                paths.root.mkdir()
                lock.release()
                lock.acquire()
            paths.images.mkdir(exist_ok=True)
            db = connect_writer(paths.database)
            paths.checksums.unlink(missing_ok=True)
            for left in paths.images.glob(".writing-*"):
                left.unlink()
        except (OSError, sqlite3.OperationalError) as error:
            lock.release()
            raise ArchiveError(_cannot_write(paths.root, error)) from error
        except ArchiveError:
            lock.release()
            raise
        try:
            return cls._begin(paths, lock, db, plan, config, reuse=reuse, sources=sources)
        except BaseException as error:
            write_checksums(paths, database=settle(db))
            lock.release()
            if isinstance(error, (OSError, sqlite3.Error)):
                raise ArchiveError(_cannot_write(paths.root, error)) from error
            raise

    @classmethod
    def _begin(
        cls,
        paths: ArchivePaths,
        lock: ArchiveLock,
        db: sqlite3.Connection,
        plan: Plan,
        config: Mapping[str, Any],
        *,
        reuse: bool,
        sources: Sequence[Path] | None,
    ) -> ArchiveWriter:
        writer = cls(paths, lock, db, plan)
        recorder = writer._recorder
        recorder.begin()
        try:
            finished = lay_out(db, paths, plan, recorder.seq)
            _describe_sweep(recorder, paths.root.name, plan, config)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        recorder.commit()
        recorder.forget()
        if reuse and len(finished) < len(plan.everything):
            copied = copy_finished(paths, recorder, plan, finished, sources)
            finished |= {i for cells in copied.values() for i in cells}
            writer.notes += [_reuse_note(source, cells) for source, cells in copied.items()]
            recorder.begin()
            for note in writer.notes:
                recorder.record(note)
            recorder.commit()
            writer._stale_grid = bool(copied)
        if finished:
            writer.todo = [cell for cell in plan.everything if cell.index not in finished]
        _write_config(paths, config)
        writer._thread.start()
        return writer

    def handle(self, event: Event) -> None:
        """Queues an event; waits while too many pixels are queued."""
        self._raise()
        pixels = getattr(event, "pixels", None)
        self._mailbox.put(event, 0 if pixels is None else pixels.nbytes)

    def close(self) -> None:
        """Writes what is queued, and leaves plain files without a log beside the database."""
        if self._thread.is_alive():
            self._mailbox.put(_CLOSE)
            self._thread.join()
        whole = settle(self._db)
        try:
            if not self._broken:
                write_checksums(self._paths, database=whole)
        except OSError as error:
            self._failure = ArchiveError(_cannot_write(self.path, error))
        self._lock.release()
        self._raise()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _work(self) -> None:
        try:
            while self._transaction():
                pass
            self._end()
        except (OSError, sqlite3.Error) as error:
            self._failure = ArchiveError(_cannot_write(self.path, error))
        except BaseException as error:
            # Whatever it is, the sweep must not go on without its archive.
            self._failure = ArchiveError(f"{self.path}: the archive failed: {error!r}")
            self._failure.__cause__ = error
        self._broken = self._failure is not None
        if self._broken:
            while self._mailbox.get() is not _CLOSE:
                pass  # lets the engine's thread run on to the failure

    def _transaction(self) -> bool:
        """Records the events of the next moments in one commit; False when it was the last."""
        item = self._mailbox.get()
        if item is _CLOSE:
            return False
        deadline = time.monotonic() + _LATENCY
        self._recorder.begin()
        while item is not None and item is not _CLOSE:
            self._recorder.record(item)  # type: ignore[arg-type]
            item = self._mailbox.get(until=deadline)
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


def _describe_sweep(recorder: Recorder, name: str, plan: Plan, config: Mapping[str, Any]) -> None:
    known = recorder.get("created")
    recorder.put("name", name)
    recorder.put("status", "running")
    recorder.put("created", known or now())
    recorder.put("config", config)
    recorder.put("machine", machine())
    recorder.put("versions", versions())
    recorder.put("dtype", plan.dtype)
    recorder.put("identities", dict(plan.identities))
    recorder.put("contents", dict(plan.contents))
    recorder.put("excluded", plan.excluded)
    recorder.put("referred", list(plan.referred))
    recorder.put("progress", [0, 0])
    recorder.put("laid_out", recorder.seq)  # who read an earlier layout must read all anew


def _write_config(paths: ArchivePaths, config: Mapping[str, Any]) -> None:
    import yaml  # not before it is needed: reading archives goes without

    plain = loads(dumps(config))  # tuples become lists, enums and paths text
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    write_aside(paths.config, text.encode("utf-8", "replace"))


def _reuse_note(source: str, cells: Sequence[int]) -> Note:
    count = f"{len(cells)} cell" + ("s" if len(cells) != 1 else "")
    return Note("reuse", f"{count} reused from {source}", {"source": source, "cells": len(cells)})


def _cannot_write(root: Path, error: Exception) -> str:
    remedy = "free some space, or give outputs= on another disk"
    if isinstance(error, PermissionError):
        remedy = "give outputs= a folder that you may write"
    return f"{root} cannot be written: {error}; {remedy}"
