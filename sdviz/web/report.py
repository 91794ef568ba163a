"""Reports to share: one HTML file, or a folder for a large sweep."""

from __future__ import annotations

import base64
import io
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from sdviz.archive.figures import figure_bytes, figures
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.archive.store import as_json
from sdviz.errors import ArchiveError
from sdviz.plan.labels import place_name, shareable, without_folders
from sdviz.regular_files import read_regular, whole_file, write_below
from sdviz.web import describe, viewer

_LARGEST_IMAGE = 256 << 20  # bytes
LARGEST_FILE = 18_000_000  # bytes of pictures in one HTML file; 24 MB as text, fit for a mail
_THUMBS = 6_000_000  # bytes of thumbnails in a folder's page, so that it opens at once
_THUMB_SIDES = (256, 24)  # pixels, the largest and the smallest


def weight(archive: Archive, cells: Sequence[CellRecord]) -> int:
    """Bytes of the pictures of a report: frames and final images of these cells, and figures."""
    chosen = {cell.i for cell in cells}
    frames = archive.stream("SELECT cell, sum(length(webp)) FROM frame GROUP BY cell")
    total = sum(row[1] or 0 for row in frames if row[0] in chosen)
    sizes = archive.stream("SELECT i, bytes FROM cell WHERE status='done'")
    total += sum(row[1] or 0 for row in sizes if row[0] in chosen)
    return total + sum(len(data) for _, data in _figures(archive))


def write_file(archive: Archive, cells: Sequence[CellRecord], out: Path) -> None:
    """Writes the report as one HTML file with every frame in it."""
    description = _description(archive, cells)
    description["urls"] = {}
    description["figures"] = [{"name": name, "src": _uri(data)} for name, data in _figures(archive)]
    names = _names(archive)
    description["details"] = {str(cell.i): _details(archive, cell.i, names) for cell in cells}
    embed: dict[str, str] = {}
    for cell in cells:
        embed |= {f"{cell.i}/{name}": uri for name, uri in _pictures(archive, cell)}
    _write(out, viewer.page(as_json(description), embed=embed))


def write_folder(
    archive: Archive,
    cells: Sequence[CellRecord],
    out: Path,
    *,
    progress: Callable[[int], object] = lambda count: None,
) -> None:
    """Writes index.html, with small thumbnails in it, and cell/N.js with the pictures of cell N.

    Apart from thumbnails, memory does not grow with the cells. `progress` gets the number of cells
    written so far.
    """
    _make(out)
    description = _description(archive, cells)
    description["urls"] = {"cell": "cell/{cell}.js"}
    side = description["thumb"] = _thumb_side(len(cells))
    embed: dict[str, str] = {}
    drawn = dict(_figures(archive))
    description["figures"] = [{"name": name, "src": f"figure/{name}.png"} for name in drawn]
    for name, data in drawn.items():
        _write_plain(out, out / "figure" / f"{name}.png", data)

    names = _names(archive)

    def write(reader: Archive, cell: CellRecord) -> str:
        script = viewer.cell_script(_details(reader, cell.i, names), dict(_pictures(reader, cell)))
        _write_plain(out, out / "cell" / f"{cell.i}.js", script.encode("utf-8", "replace"))
        return _thumb(reader, cell, side)

    for count, (cell, thumb) in enumerate(
        zip(cells, _in_threads(archive.path, cells, write), strict=True), start=1
    ):
        if thumb:
            embed[f"{cell.i}/thumb"] = thumb
        progress(count)
    _write(out / "index.html", viewer.page(as_json(description), embed=embed))


def _in_threads(
    path: Path, cells: Sequence[CellRecord], make: Callable[[Archive, CellRecord], str]
) -> Iterator[str]:
    """The results of `make` for each cell, in order; all processors decode pictures.

    Each thread opens the archive itself.
    """
    opened = threading.local()

    def one(cell: CellRecord) -> str:
        if not hasattr(opened, "archive"):
            opened.archive = Archive(path)
        return make(opened.archive, cell)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(one, cells)


def _description(archive: Archive, cells: Sequence[CellRecord]) -> dict[str, Any]:
    chosen = {cell.i for cell in cells}
    description = describe.description(archive)
    description["cells"] = [cell for cell in description["cells"] if cell["i"] in chosen]
    description["fixed"] = shareable(description["fixed"])
    description["comparable"] = {place_name(k): v for k, v in description["comparable"].items()}
    names = _names(archive)
    for cell in description["cells"]:
        cell["r"] = shareable(cell["r"])
        if "e" in cell:
            cell["e"] = without_folders(cell["e"], names)
    for note in description["notes"]:
        note["text"] = without_folders(note["text"], names)
    if description["status"] == "running":
        description["status"] = "interrupted"  # the report does not change any more
    return description


def _details(archive: Archive, i: int, names: Mapping[str, str]) -> dict[str, Any]:
    details = describe.cell(archive, i)
    return {
        **details,
        "recipe": shareable(details["recipe"]),
        "reason": without_folders(details["reason"], names),
        "notes": [without_folders(note, names) for note in details["notes"]],
    }


def _names(archive: Archive) -> dict[str, str]:
    """The paths that the recipes have, each with its name."""
    recipes = [cell.recipe for cell in archive.cells]
    pairs = {
        value: short[key]
        for recipe in recipes
        for short in [shareable(recipe)]
        for key, value in recipe.items()
        if isinstance(value, str) and short[key] != value
    }
    return pairs


def _pictures(archive: Archive, cell: CellRecord) -> Iterator[tuple[str, str]]:
    """Pairs of step or "image" and data URI. Damaged pictures are left out."""
    for step in archive.steps(cell.i):
        try:
            yield str(step), _uri(archive.frame_bytes(cell.i, step))
        except ArchiveError:
            continue
    if cell.status == "done":
        try:
            yield "image", _uri(read_regular(archive.image_path(cell.i), _LARGEST_IMAGE))
        except (ArchiveError, OSError):
            return


def _uri(data: bytes) -> str:
    """A data URI; ArchiveError for what is neither WebP nor PNG, whatever it claims to be."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        kind = "png"
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "webp"
    else:
        raise ArchiveError("a picture is neither PNG nor WebP")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _thumb_side(count: int) -> int:
    """Pixels that fit the page's budget: a WebP thumbnail takes about a tenth of a byte a pixel."""
    side = math.sqrt(_THUMBS / max(count, 1) / 0.1)
    largest, smallest = _THUMB_SIDES
    return int(min(largest, max(smallest, side)))


def _thumb(archive: Archive, cell: CellRecord, side: int) -> str:
    if cell.status != "done":
        return ""
    try:
        image = archive.image(cell.i)
    except ArchiveError:
        return ""
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=2)
    return _uri(buffer.getvalue())


def _figures(archive: Archive) -> Iterator[tuple[str, bytes]]:
    """Name and PNG of each figure that a study has drawn. Damaged ones are left out."""
    for name in figures(archive.path):
        try:
            yield name, figure_bytes(archive.path, name)
        except ArchiveError:
            continue


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(f"{out} cannot be written: {error}") from error


def _write_plain(out: Path, path: Path, data: bytes) -> None:
    """Writes the file `path` of the folder `out` without waiting for the disk, which takes longer
    than making the file; the page that needs it is written last.
    """
    try:
        write_below(out, path, data, make=True, wait=False)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error}") from error


def _write(path: Path, text: str) -> None:
    try:
        with whole_file(path) as aside:
            aside.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error}") from error
