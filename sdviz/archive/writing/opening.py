"""How a sweep's archive begins: its folder taken, its plan laid out, and cells reused."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.lock import ArchiveLock
from sdviz.archive.machine import machine, versions
from sdviz.archive.paths import ArchivePaths
from sdviz.archive.store import connect_writer, dumps, loads
from sdviz.archive.writing.journal import now
from sdviz.archive.writing.layout import lay_out
from sdviz.archive.writing.recorder import Recorder
from sdviz.archive.writing.reuse import copy_finished
from sdviz.errors import ArchiveError
from sdviz.events import Note
from sdviz.plan.cells import Plan
from sdviz.regular_files import WRITING, delete_below, folder_below


def take_folder(paths: ArchivePaths, lock: ArchiveLock, *, reuse: bool) -> sqlite3.Connection:
    """Makes the archive's folder, takes its lock and opens its database, which the caller closes.

    Without `reuse`, an existing archive is retired first. Raises ArchiveError, and releases the
    lock, if the folder cannot be written or another process is writing it.
    """
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        if not reuse and paths.database.exists():
            retire(paths.root)
            paths.root.mkdir()
            lock.release()
            lock.acquire()
        with folder_below(paths.root, "images", make=True) as images:
            db = connect_writer(paths.database)
            with contextlib.suppress(FileNotFoundError):
                delete_below(paths.root, paths.checksums)
            for name in images.names():
                if name.startswith(WRITING):
                    images.unlink(name)
    except (OSError, sqlite3.OperationalError) as error:
        lock.release()
        raise ArchiveError(cannot_write(paths.root, error)) from error
    except ArchiveError:
        lock.release()
        raise
    return db


def lay_out_sweep(
    recorder: Recorder, paths: ArchivePaths, plan: Plan, config: Mapping[str, Any]
) -> set[int]:
    """Writes a row for every cell of the plan and records the sweep. Returns the finished cells.

    Raises ArchiveError, and changes nothing, if the plan has no place for a finished cell.
    """
    recorder.begin()
    try:
        finished = lay_out(recorder.db, paths, plan, recorder.seq)
        _describe_sweep(recorder, paths.root.name, plan, config)
    except BaseException:
        recorder.rollback()
        raise
    recorder.commit()
    recorder.forget()
    return finished


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


def reuse_cells(
    recorder: Recorder,
    paths: ArchivePaths,
    plan: Plan,
    finished: set[int],
    sources: Sequence[Path] | None,
) -> tuple[set[int], list[Note]]:
    """Copies cells that other archives have, as in copy_finished: their numbers, and a note for
    each of those archives, which are recorded.
    """
    copied = copy_finished(paths, recorder, plan, finished, sources)
    notes = [_reuse_note(source, cells) for source, cells in copied.items()]
    recorder.begin()
    for note in notes:
        recorder.record(note)
    recorder.commit()
    return {i for cells in copied.values() for i in cells}, notes


def _reuse_note(source: str, cells: Sequence[int]) -> Note:
    count = f"{len(cells)} cell" + ("s" if len(cells) != 1 else "")
    return Note("reuse", f"{count} reused from {source}", {"source": source, "cells": len(cells)})


def write_config(paths: ArchivePaths, config: Mapping[str, Any]) -> None:
    """Writes config.yaml, the configuration that runs the sweep again."""
    from sdviz.archive.writing.config_yaml import dump  # reading archives goes without

    plain = loads(dumps(config))  # tuples become lists, enums and paths text
    paths.write(paths.config, dump(plain).encode("utf-8", "replace"))


def cannot_write(root: Path, error: Exception) -> str:
    """The message for the user if the archive in folder `root` cannot be written."""
    remedy = "free some space, or give outputs= on another disk"
    if isinstance(error, PermissionError):
        remedy = "give outputs= a folder that you can write to"
    return f"{root} cannot be written: {error}; {remedy}"


def retire(root: Path) -> Path:
    """Renames outputs/<name> to <name>.1, or the first number that is free; nothing is deleted."""
    number = 1
    while (kept := root.with_name(f"{root.name}.{number}")).exists():
        number += 1
    root.rename(kept)
    return kept
