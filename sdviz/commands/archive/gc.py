"""Deletes what killed sweeps left behind: half-written files, pictures and frames without a cell.

Prints what it would delete, and deletes it with --yes. It never touches finished cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.archive.guard import named
from sdviz.archive.paths import archive_folders
from sdviz.archive.upkeep.removal import Leftover, drop, leftovers
from sdviz.commands.archive._listing import human_bytes
from sdviz.commands.terminal import say, say_json
from sdviz.errors import ArchiveError

EXAMPLE = "python -m sdviz.archive gc outputs --yes"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "outputs", nargs="?", default=Path("outputs"), type=Path, help="the folder of archives"
    )
    parser.add_argument("--yes", action="store_true", help="delete them")
    parser.add_argument("--json", action="store_true", help="a list of {path, what, bytes}")


def run(options: argparse.Namespace) -> int:
    if not options.outputs.is_dir():
        raise ArchiveError(f"{options.outputs} is not a folder; give the folder of outputs=")
    every: list[Leftover] = []
    for folder in archive_folders(options.outputs):
        try:
            with named(folder):
                unused = list(leftovers(folder))
                if unused and options.yes:
                    drop(folder)
        except ArchiveError as error:
            say(f"{folder}: skipped: {error}", error=True)
            continue
        every += unused
    if options.json:
        records = [{"path": str(one.path), "what": one.what, "bytes": one.bytes} for one in every]
        say_json(records, indent=1)
        return 0
    for one in every:
        say(f"{one.path}: {one.what}, {human_bytes(one.bytes)}")
    total = sum(one.bytes for one in every)
    done = "freed" if options.yes else "can be freed; --yes deletes them"
    say(f"{human_bytes(total)} {done}" if total else "nothing to delete")
    return 0
