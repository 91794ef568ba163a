"""Clears away what killed sweeps left behind: half-written files, pictures of no cell, dead frames.

Says what it would do, and does it with --yes. Finished cells are never touched.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sdviz.archive.paths import archive_folders
from sdviz.archive.upkeep.removal import Leftover, drop, leftovers
from sdviz.commands.archive._listing import human_bytes
from sdviz.errors import ArchiveError

EXAMPLE = "python -m sdviz.archive gc outputs --yes"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("outputs", nargs="?", default=Path("outputs"), type=Path)
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.add_argument("--json", action="store_true", help="a list of {path, what, bytes}")


def run(options: argparse.Namespace) -> int:
    if not options.outputs.is_dir():
        raise ArchiveError(f"{options.outputs} is not a folder; give the one that outputs= named")
    every: list[Leftover] = []
    for folder in archive_folders(options.outputs):
        try:
            found = list(leftovers(folder))
        except ArchiveError as error:
            print(f"{folder}: passed over: {error}", file=sys.stderr)
            continue
        every += found
        if found and options.yes:
            drop(folder)
    if options.json:
        told = [{"path": str(one.path), "what": one.what, "bytes": one.bytes} for one in every]
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return 0
    for one in every:
        print(f"{one.path}: {one.what}, {human_bytes(one.bytes)}")
    total = sum(one.bytes for one in every)
    done = "freed" if options.yes else "to free; --yes does it"
    print(f"{human_bytes(total)} {done}" if total else "nothing to clear away")
    return 0
