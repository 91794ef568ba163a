"""Shows one archive: its axes, the state of every cell, and its times."""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.archive.guard import guarded
from sdviz.commands.archive._listing import show_text
from sdviz.commands.terminal import say_json, say_text

EXAMPLE = """python -m sdviz.archive show outputs/cfg-3
python -m sdviz.archive show outputs/cfg-3 --json | python -m json.tool"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="an archive's folder")
    parser.add_argument("--json", action="store_true", help="one object, see docs/archive.md")
    parser.add_argument(
        "--cells", type=int, default=20, metavar="N", help="rows shown (default 20)"
    )


def run(options: argparse.Namespace) -> int:
    with guarded(options.path) as archive:
        if options.json:
            say_json(archive.as_json())
        else:
            say_text(show_text(archive, most=options.cells))
    return 0
