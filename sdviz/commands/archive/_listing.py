"""Text about archives: one line each for `list`, a page for `show`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdviz.archive.guard import guarded
from sdviz.archive.paths import archive_folders
from sdviz.archive.reader import Archive
from sdviz.archive.records import COMPARABLE, CellRecord
from sdviz.archive.table import show_value, text_table
from sdviz.errors import ArchiveError
from sdviz.plan.labels import common_settings, listed, position_label, telling, value_label
from sdviz.regular_files import is_regular


def summaries(outputs: Path) -> list[dict[str, Any]]:
    """One object an archive; of status "damaged", with the reason, where it cannot be read."""
    if not outputs.is_dir():
        raise ArchiveError(f"{outputs} is not a folder; give the folder of outputs=")
    return [_summary(folder) for folder in archive_folders(outputs)]


def _summary(folder: Path) -> dict[str, Any]:
    try:
        with guarded(folder) as archive:
            counts = archive.counts()
            return {
                "path": str(folder),
                "name": archive.name,
                "status": archive.status,
                "created": archive.about("created", ""),
                "seconds": archive.about("seconds"),
                "axes": {key: len(values) for key, values in archive.axes.items()},
                "cells": sum(counts.values()),
                "done": counts.get("done", 0),
                "failed": counts.get("failed", 0),
                "bytes": _size(folder),
            }
    except ArchiveError as error:
        return {"path": str(folder), "name": folder.name, "status": "damaged", "reason": str(error)}


def _size(folder: Path) -> int:
    files = [*folder.glob("*"), *folder.glob("images/*")]
    return sum(file.lstat().st_size for file in files if is_regular(file))


def summary_table(archives: list[dict[str, Any]]) -> str:
    """What `list` prints of `summaries`."""
    rows = [
        [
            one["path"],
            one["status"],
            f"{one['done']}/{one['cells']}" if "cells" in one else "",
            " x ".join(f"{key} {count}" for key, count in one.get("axes", {}).items()),
            one.get("created", ""),
            human_bytes(one["bytes"]) if "bytes" in one else one["reason"],
        ]
        for one in archives
    ]
    titles = ["archive", "status", "cells", "axes", "created", "size"]
    return text_table(titles, rows, whole=["archive", "size"])


def human_bytes(count: int) -> str:
    """`429 kB`, `1.2 MB`: in powers of 1,000."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def show_text(archive: Archive, *, most: int) -> str:
    """The page that `show` prints; at most `most` cells."""
    cells = archive.cells
    done = sum(cell.status == "done" for cell in cells)
    seconds = show_value(archive.number("seconds"))
    machine = archive.machine
    lines = [
        f"{archive.name}: {archive.status}, {done} of {len(cells)} cells",
        f"created   {archive.about('created', '')}, took {seconds} s",
        f"machine   {machine.get('cpu', '')}, {machine.get('cores', '?')} cores"
        + (f", {machine['gpu']}" if machine.get("gpu") else ""),
        "versions  " + ", ".join(f"{k} {v}" for k, v in archive.versions.items()),
    ]
    for axis in archive.dims:
        values = listed(position_label(axis, at) for at in range(len(axis.values)))
        lines.append(f"axis      {' + '.join(axis.keys)}: {show_value(values)}")
    for model, made in archive.comparable.items():
        lines.append(f"pace      {pace_text(model, made)}")
    fixed = common_settings([cell.recipe for cell in cells if cell.recipe], archive.dims)
    settings = (f"{key}={value_label(value)}" for key, value in telling(fixed).items())
    lines += [
        "fixed     " + show_value(", ".join(settings)),
        "",
        _cells(list(archive.axes), cells[:most], archive.scores()),
    ]
    if len(cells) > most:
        lines.append(f"... and {len(cells) - most} more; --cells {len(cells)} shows all")
    return "\n".join(lines)


def pace_text(model: str, made: Mapping[str, Any]) -> str:
    """A sentence on how the comparable seconds of a model's cells were measured."""
    how = f"comparable seconds of {model}: at {made['batch']} rows per tick on {made['device']}"
    return how if made["settled"] else f"{how} (too few cells to settle)"


def _cells(keys: list[str], cells: list[CellRecord], scored: dict[int, dict[str, Any]]) -> str:
    """A line a cell; scores, captions and notes where there are any."""
    scores = [scored.get(cell.i, {"scores": {}, "caption": ""}) for cell in cells]
    names = list(dict.fromkeys(name for one in scores for name in one["scores"]))
    words = {
        "caption": [one["caption"] for one in scores],
        "notes": ["; ".join(cell.notes) for cell in cells],
    }
    words = {title: column for title, column in words.items() if any(column)}
    compared = any(COMPARABLE[0] in cell.timings for cell in cells)
    rows = [
        [
            cell.i,
            *(value_label(cell.recipe[key], key) if key in cell.recipe else "" for key in keys),
            cell.status,
            cell.frames,
            cell.timings.get("total_s"),
            *([cell.timings.get(COMPARABLE[0])] if compared else []),
            *(one["scores"].get(name) for name in names),
            cell.image or cell.reason,
            *(column[at] for column in words.values()),
        ]
        for at, (cell, one) in enumerate(zip(cells, scores, strict=True))
    ]
    titles = [
        "cell",
        *keys,
        "status",
        "frames",
        "seconds",
        *(["comparable"] if compared else []),
        *names,
        "image",
        *words,
    ]
    return text_table(titles, rows)
