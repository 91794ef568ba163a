"""Cells and times as CSV, JSON Lines and Parquet, and as a `datasets` image folder."""

from __future__ import annotations

import csv
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.figures import figures
from sdviz.archive.reader import Archive
from sdviz.archive.records import COMPARABLE, SECONDS, CellRecord
from sdviz.archive.store import as_json
from sdviz.archive.upkeep.removal import archive_files
from sdviz.errors import ArchiveError, ConfigError
from sdviz.plan.labels import shareable
from sdviz.regular_files import open_below, open_regular, whole_file, whole_folder


def rows_of(cells: Iterable[CellRecord]) -> list[dict[str, Any]]:
    """One flat row a cell: number, key, settings (paths as names), status, image, frames, times."""
    return [
        {
            "cell": cell.i,
            "key": cell.key,
            **shareable(cell.recipe),
            "status": cell.status,
            "image": cell.image,
            "frames": cell.frames,
            **{name: cell.timings.get(name) for name in (*SECONDS, *COMPARABLE, "batch")},
        }
        for cell in cells
    ]


def write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes rows by the ending of `path`. Raises ConfigError for an ending that is no table's."""
    writers: dict[str, Callable[[Sequence[dict[str, Any]], Path], None]] = {
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
    }
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise ConfigError(f"{path}: a table ends in {', '.join(writers)}")
    try:
        with whole_file(path) as aside:
            writer(rows, aside)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error}") from error


def _csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    # The mark at the beginning lets Excel see that Chinese prompts are UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)


def _inert(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula, with a quote before it (CWE-1236)."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _jsonl(rows: Sequence[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(as_json(row) + "\n" for row in rows)


def _parquet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        needed = "Parquet needs pyarrow: python -m pip install pyarrow"
        raise ArchiveError(f"{path}: {needed}") from error
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


def write_dataset(archive: Archive, cells: Iterable[CellRecord], folder: Path) -> int:
    """An image folder that `datasets.load_dataset("imagefolder", data_dir=...)` reads.

    The prompt is in the column `text`, as text-to-image datasets have it. Returns how many images.
    """
    try:
        with whole_folder(folder) as aside:
            return _dataset(archive, cells, aside)
    except FileExistsError as error:
        raise ArchiveError(f"{folder} is not empty; give a new folder") from error
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be written: {error}") from error


def _dataset(archive: Archive, cells: Iterable[CellRecord], folder: Path) -> int:
    count = 0
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as stream:
        for row, cell in _finished(cells):
            try:
                source = archive.image_path(cell.i)
                with open_regular(source) as file:
                    if not (folder / source.name).exists():  # else two rows name one image
                        with (folder / source.name).open("xb") as copy:
                            shutil.copyfileobj(file, copy)
            except (ArchiveError, FileNotFoundError):
                continue  # `verify` names it
            record = {"file_name": source.name, "text": row.pop("prompt", ""), **row}
            del record["image"]
            stream.write(as_json(record) + "\n")
            count += 1
    return count


def _finished(cells: Iterable[CellRecord]) -> list[tuple[dict[str, Any], CellRecord]]:
    done = [cell for cell in cells if cell.status == "done"]
    return list(zip(rows_of(done), done, strict=True))


def write_zip(archive: Archive, path: Path) -> int:
    """Everything of the archive in one file, below a folder of its name; returns how many files.

    Pictures are stored as they are, for they are compressed already.
    """
    if archive.live:
        raise ArchiveError(f"{archive.path} is being written; zip it after its sweep has ended")
    skip = {".lock", "sweep.db-wal", "sweep.db-shm"}
    files = [file for file in archive_files(archive.path) if file.name not in skip]
    files += [archive.paths.figures / f"{name}.png" for name in figures(archive.path)]
    try:
        with whole_file(path) as aside, zipfile.ZipFile(aside, "w") as target:
            for file in files:
                inside = Path(archive.path.resolve().name) / file.relative_to(archive.path)
                with open_below(archive.path, file) as source:
                    facts = os.fstat(source.fileno())
                    info = zipfile.ZipInfo(inside.as_posix(), _zip_time(facts.st_mtime))
                    info.external_attr = (facts.st_mode & 0xFFFF) << 16
                    info.file_size = facts.st_size
                    packed = file.suffix != ".png"
                    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
                    with target.open(info, "w") as packing:
                        shutil.copyfileobj(source, packing)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error}") from error
    return len(files)


def _zip_time(seconds: float) -> tuple[int, int, int, int, int, int]:
    """A file's time as a zip can have it: from 1980 to 2107."""
    year, *others = time.localtime(min(max(seconds, 0), 2**32))[:6]
    if year < 1980:
        return 1980, 1, 1, 0, 0, 0
    month, day, hour, minute, second = others
    return min(year, 2107), month, day, hour, minute, min(second, 59)
