"""Is an archive what was written? Files, hashes, database; all that is damaged is named."""

from __future__ import annotations

import functools
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdviz.archive.checksums import file_hash, read_checksums
from sdviz.archive.guard import named
from sdviz.archive.paths import DATABASE, ArchivePaths
from sdviz.archive.reader import Archive
from sdviz.archive.records import DAMAGED, CellRecord, plan_cell
from sdviz.errors import ArchiveError
from sdviz.pictures import files
from sdviz.plan.cells import Plan, cell_key
from sdviz.regular_files import is_regular

_STATUSES = ("running", "finished", "failed", "interrupted")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: where, as a path or "cell 3", and what."""

    where: str
    what: str


def verify(path: Path) -> Iterator[Finding]:
    """Everything that is wrong with an archive; nothing where it is whole. Renders nothing."""
    yield from _findings("checksums", path, lambda: _files(ArchivePaths(path)))
    try:
        with named(path):
            archive = Archive(path)
    except ArchiveError as error:
        yield Finding(DATABASE, str(error))
        return
    with archive:
        for check in (_database, _sweep, _cells, _frames, _strays):
            yield from _findings(DATABASE, path, functools.partial(check, archive))


def _findings(where: str, path: Path, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; where it cannot go on, why."""
    findings: list[Finding] = []
    try:
        with named(path):
            findings.extend(check())
    except ArchiveError as error:
        findings.append(Finding(where, str(error)))
    yield from findings


def _files(paths: ArchivePaths) -> Iterator[Finding]:
    """The files that `checksums` lists; none while a sweep is being written, or was killed."""
    if not is_regular(paths.database):
        return
    sums = read_checksums(paths)
    if sums is None:
        if os.path.lexists(paths.checksums):
            yield Finding("checksums", "is damaged")
        elif _closed(paths):
            yield Finding("checksums", "is missing, although the sweep was closed properly")
        return
    for file in (paths.database, paths.config, paths.grid):
        if file.name not in sums and os.path.lexists(file):
            log = paths.root / f"{file.name}-wal"
            why = f": {log.name} is beside it; `archive gc --yes` merges it"
            what = "has no line in `checksums`, so verify cannot detect changes to it"
            yield Finding(file.name, what + (why if log.exists() else ""))
    for name, expected in sums.items():
        file = paths.root / name
        if not is_regular(file):
            yield Finding(
                name, "is missing" if not os.path.lexists(file) else "is not a regular file"
            )
        elif file_hash(file) != expected:
            yield Finding(name, "differs from what was written (SHA-256)")


def _closed(paths: ArchivePaths) -> bool:
    try:
        with Archive(paths.root) as archive:
            return archive.about("status") != "running" and not archive.live
    except ArchiveError:
        return False  # reported elsewhere


def _database(archive: Archive) -> Iterator[Finding]:
    for row in archive.query("PRAGMA integrity_check(20)"):
        if row[0] != "ok":
            yield Finding(DATABASE, str(row[0]))


def _sweep(archive: Archive) -> Iterator[Finding]:
    for key in ("name", "status", "created", "config", "machine", "versions", "identities"):
        try:
            if archive.about(key) is None:
                yield Finding(DATABASE, f"table sweep has no {key!r}")
        except ArchiveError as error:
            yield Finding(DATABASE, f"table sweep, {key!r}: {error}")
    if archive.about("status") not in _STATUSES:
        yield Finding(DATABASE, f"unknown status {archive.about('status')!r}")
    if not archive.query("SELECT 1 FROM cell LIMIT 1"):
        yield Finding(DATABASE, "there are no cells")


def _cells(archive: Archive) -> Iterator[Finding]:
    plan = Plan(
        axes=archive.dims,
        cells=(),
        dtype=str(archive.about("dtype", "")),
        identities=archive.mapping("identities"),
        contents=archive.mapping("contents"),
    )
    first_outside = archive.first_outside
    for cell in archive.everything:
        where = f"cell {cell.i}"
        if cell.status == DAMAGED:
            yield Finding(where, cell.reason)
            continue
        whats = _recipe(cell, plan, is_reference=cell.i >= first_outside)
        yield from (Finding(where, what) for what in whats)
        if cell.status == "done":
            what = _image(archive, cell)
            if what:
                yield Finding(f"{where}: {cell.image}", what)


def _recipe(cell: CellRecord, plan: Plan, *, is_reference: bool) -> Iterator[str]:
    """A recipe must hash to its key and stand at its place in the grid; a reference has none."""
    identity = plan.identities.get(str(cell.recipe.get("model")))
    try:
        if identity:
            recipe = plan_cell(cell).recipe
            key = cell_key(
                recipe, model_identity=identity, dtype=plan.dtype, contents=plan.contents
            )
            if key != cell.key:
                yield "its recipe does not hash to its key"
        axes = () if is_reference else plan.axes
        for at, axis in zip(cell.coords, axes, strict=True):
            if tuple(cell.recipe[key] for key in axis.keys) != axis.values[at]:
                yield f"its recipe differs from its place along {axis.name}"
    except (ValueError, TypeError, KeyError, IndexError) as error:
        yield f"its recipe or its place in the grid is damaged: {error!r}"


def _image(archive: Archive, cell: CellRecord) -> str:
    """What is wrong with a cell's image file; "" where it is whole."""
    try:
        path = archive.paths.image(cell.image or "")
        if not is_regular(path):
            return "is missing" if not os.path.lexists(path) else "is not a regular file"
        same = file_hash(path) == cell.sha256
        pixels = np.asarray(files.decode(path, cell.image or ""))
    except (ArchiveError, OSError) as error:
        return str(error)
    if same:
        return ""
    if files.pixel_hash(pixels) == cell.pixels:
        return "differs from what was written, though its pixels are the same"
    return "differs from what was written, pixels too"


def _frames(archive: Archive) -> Iterator[Finding]:
    counts: dict[int, int] = {}
    rows = archive.stream("SELECT cell, step, webp, crc FROM frame ORDER BY n")
    for row in rows:
        if row["webp"] is None:
            continue
        counts[row["cell"]] = counts.get(row["cell"], 0) + 1
        what = _frame(row)
        if what:
            yield Finding(f"frame {row['cell']}/{row['step']}", what)
    for cell in archive.everything:
        if cell.status == "done" and counts.get(cell.i, 0) != cell.frames:
            what = f"has {counts.get(cell.i, 0)} frames, and {cell.frames} were written"
            yield Finding(f"cell {cell.i}", what)


def _frame(row: sqlite3.Row) -> str:
    if not isinstance(row["webp"], bytes):
        return "is not a picture"
    if zlib.crc32(row["webp"]) != row["crc"]:
        return "differs from what was written (CRC-32)"
    try:
        files.decode(row["webp"], "it")
    except ArchiveError as error:
        return str(error)
    return ""


def _strays(archive: Archive) -> Iterator[Finding]:
    """Files of images/ that no cell has: a renamed picture, or what a killed sweep left behind."""
    if archive.live or not archive.paths.images.is_dir():
        return
    known = {cell.image for cell in archive.everything}
    if archive.paths.images.is_symlink():
        yield Finding("images", "is a link, which is not followed")
        return
    for file in sorted(archive.paths.images.iterdir()):
        if f"images/{file.name}" not in known:
            yield Finding(f"images/{file.name}", "belongs to no cell")
