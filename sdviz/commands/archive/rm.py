"""Deletes archives: the files that sdviz made, and the folder if nothing else is in it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdviz.archive.upkeep.removal import own_files, remove
from sdviz.commands.archive._listing import human_bytes
from sdviz.errors import ArchiveError

EXAMPLE = "python -m sdviz.archive rm outputs/cfg-3 --yes"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="+", help="archives' folders")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    for path in options.path:  # all of them are looked at before one is touched
        if not (path / "sweep.db").is_file():
            raise ArchiveError(f"{path} is not an archive: it has no sweep.db; nothing is deleted")
    for path in options.path:
        size = sum(file.stat().st_size for file in own_files(path))
        if not options.yes and not _asked(f"delete {path} ({human_bytes(size)})? [y/N] "):
            print(f"{path}: kept")
            continue
        left = remove(path)
        others = f", but for {len(left)} file{'s' * (len(left) != 1)} of others"
        print(f"{path}: deleted" + (others if left else ""))
    return 0


def _asked(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ArchiveError("nobody is there to ask; --yes deletes without asking")
    return input(question).strip().lower() in ("y", "yes")
