"""Exports an archive: as a contact sheet, a film, a table, a data set or a zip.

OUT decides which: .png .jpg .webp for a sheet; .gif .mp4 (and .webp with --film) for a film;
.csv .jsonl .parquet for a table; .zip for everything; a folder with --dataset for an image folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.archive.export.compare import save_sheet
from sdviz.archive.export.film import cell_frames, sheet_frames, write_film
from sdviz.archive.export.grid import missing_glyphs
from sdviz.archive.export.pages import arrange, sheets
from sdviz.archive.export.tables import rows_of, write_dataset, write_table, write_zip
from sdviz.archive.guard import guarded
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.commands.archive._choosing import chosen
from sdviz.commands.terminal import say
from sdviz.errors import ConfigError
from sdviz.pictures.sheet import draw
from sdviz.plan.labels import shareable

EXAMPLE = """python -m sdviz.archive export outputs/grid sheet.png --rows prompt --pages seed
python -m sdviz.archive export outputs/grid film.mp4
python -m sdviz.archive export outputs/grid cell.webp --film --cell 3
python -m sdviz.archive export outputs/grid cells.csv --only 'status=done'
python -m sdviz.archive export outputs/grid folder --dataset"""

_SHEETS = (".png", ".jpg", ".jpeg", ".webp")
_TABLES = (".csv", ".jsonl", ".parquet")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="an archive's folder")
    parser.add_argument("out", type=Path, metavar="OUT", help="the file or folder to write")
    parser.add_argument("--rows", metavar="AXES", help="axes for rows, joined by commas")
    parser.add_argument("--columns", metavar="AXES", help="axes for columns")
    parser.add_argument("--pages", metavar="AXES", help="axes with one sheet per value")
    parser.add_argument("--only", metavar="RULE", help="which cells, as in `find`")
    parser.add_argument("--film", action="store_true", help="write a film if OUT ends in .webp")
    parser.add_argument("--cell", type=int, metavar="N", help="a film of only this cell")
    parser.add_argument("--rate", type=float, default=8, help="frames per second (default 8)")
    parser.add_argument(
        "--dataset", action="store_true", help="write an image folder for `datasets`"
    )


def run(options: argparse.Namespace) -> int:
    out: Path = options.out
    kind = out.suffix.lower()
    with guarded(options.path) as archive:
        cells = chosen(archive, options.only)
        if options.dataset:
            say(f"{out}: {write_dataset(archive, cells, out)} images and metadata.jsonl")
        elif kind == ".zip":
            say(f"{out}: {write_zip(archive, out)} files")
            if any(shareable(cell.recipe) != cell.recipe for cell in archive.cells):
                say(
                    "warning: a zip is the archive itself: it has the paths of your files",
                    error=True,
                )
        elif kind in _TABLES:
            write_table(rows_of(cells), out)
            say(f"{out}: {len(cells)} rows")
        elif kind in (".gif", ".mp4") or (kind == ".webp" and options.film):
            _film(archive, cells, options)
        elif kind in _SHEETS:
            _sheets(archive, cells, options)
        else:
            known = ", ".join([*_SHEETS, ".gif", ".mp4", *_TABLES, ".zip"])
            raise ConfigError(
                f"{out}: supported endings are {known}; for a folder add --dataset",
            )
    return 0


def _film(archive: Archive, cells: list[CellRecord], options: argparse.Namespace) -> None:
    if options.rate <= 0:
        raise ConfigError(f"--rate {options.rate}: must be more than 0 frames per second")
    if options.cell is not None:
        frames = cell_frames(archive, archive.cell(options.cell))
    else:
        places = arrange(archive.dims, rows=options.rows, columns=options.columns, pages=None)
        frames = sheet_frames(archive, cells, places)
    say(f"{options.out}: {write_film(frames, options.out, rate=options.rate)} frames")


def _sheets(archive: Archive, cells: list[CellRecord], options: argparse.Namespace) -> None:
    places = arrange(archive.dims, rows=options.rows, columns=options.columns, pages=options.pages)
    drawn = sheets(archive, cells, places)
    for number, sheet in enumerate(drawn):
        image, missing = draw(sheet)
        out: Path = options.out
        if len(drawn) > 1:
            out = out.with_name(f"{out.stem}-{number + 1}{out.suffix}")
        save_sheet(image, out)
        note = missing_glyphs(missing)
        line = f"{out}: {image.width}x{image.height} pixels"
        say(line + (f"; {note.text}" if note else ""))
