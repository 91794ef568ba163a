"""Writes a report that needs no network: every cell, every frame, one slider.

It is one HTML file if its pictures fit into a mail, otherwise a folder with index.html.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from sdviz.archive.guard import guarded
from sdviz.commands.archive._choosing import chosen
from sdviz.commands.archive._listing import human_bytes
from sdviz.commands.terminal import bar_stream, say
from sdviz.errors import ConfigError
from sdviz.web.report import LARGEST_FILE, weight, write_file, write_folder

EXAMPLE = """python -m sdviz.archive report outputs/cfg-3
python -m sdviz.archive report outputs/grid mail.html --only 'cfg<=15 status=done'"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="an archive's folder")
    parser.add_argument("out", type=Path, nargs="?", help="default: report.html in the archive")
    parser.add_argument("--only", metavar="RULE", help="which cells, as in `find`")
    parser.add_argument("--folder", action="store_true", help="write a folder, even if it is small")
    parser.add_argument("--file", action="store_true", help="write one file, even if it is large")


def run(options: argparse.Namespace) -> int:
    if options.folder and options.file:
        raise ConfigError("report: --folder or --file, not both")
    with guarded(options.path) as archive:
        cells = chosen(archive, options.only)
        size = weight(archive, cells)
        folder = options.folder or (size > LARGEST_FILE and not options.file)
        out = options.out or options.path / ("report" if folder else "report.html")
        if folder:
            if out.suffix == ".html":
                out = out.with_suffix("")
            with tqdm(
                total=len(cells), unit="cell", disable=None, leave=False, file=bar_stream()
            ) as bar:
                write_folder(archive, cells, out, progress=lambda count: bar.update(count - bar.n))
            out = out / "index.html"
        else:
            write_file(archive, cells, out)
    say(f"{out}: {len(cells)} cells, {human_bytes(size)} of pictures")
    return 0
