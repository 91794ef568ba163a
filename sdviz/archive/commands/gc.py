"""Clears away what killed sweeps left behind: half-written files, pictures of no cell, dead frames.

Says what it would do, and does it with --yes. Finished cells are never touched.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.archive.listing import archive_folders, human_bytes
from sdviz.archive.removal import drop, leftovers
from sdviz.errors import ArchiveError

EXAMPLE = "python -m sdviz.archive gc outputs --yes"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("outputs", nargs="?", default=Path("outputs"), type=Path)
    parser.add_argument("--yes", action="store_true", help="do it")


def run(options: argparse.Namespace) -> int:
    if not options.outputs.is_dir():
        raise ArchiveError(f"{options.outputs} is not a folder; give the one that outputs= named")
    total = 0
    for folder in archive_folders(options.outputs):
        try:
            found = list(leftovers(folder))
        except ArchiveError as error:
            print(f"{folder}: passed over: {error}")
            continue
        for one in found:
            print(f"{one.path}: {one.what}, {human_bytes(one.bytes)}")
        total += sum(one.bytes for one in found)
        if found and options.yes:
            drop(folder)
    done = "freed" if options.yes else "to free; --yes does it"
    print(f"{human_bytes(total)} {done}" if total else "nothing to clear away")
    return 0
