"""Shows one archive: its axes, how every cell went, and its times."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sdviz.archive.reader import Archive
from sdviz.commands.archive._listing import show_text

EXAMPLE = """python -m sdviz.archive show outputs/cfg-3
python -m sdviz.archive show outputs/cfg-3 --json | python -m json.tool"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="an archive's folder")
    parser.add_argument("--json", action="store_true", help="one object, see docs/archive.md")
    parser.add_argument(
        "--cells", type=int, default=20, metavar="N", help="rows shown (default 20)"
    )


def run(options: argparse.Namespace) -> int:
    with Archive(options.path) as archive:
        if options.json:
            print(json.dumps(archive.as_json(), ensure_ascii=False))
        else:
            print(show_text(archive, most=options.cells))
    return 0
