"""Deletes archives: the files that sdviz wrote, and the folder if it is empty then."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdviz.archive.paths import DATABASE
from sdviz.archive.upkeep.removal import archive_files, is_emptied, remove
from sdviz.commands.archive._listing import human_bytes
from sdviz.commands.terminal import say, say_question
from sdviz.errors import ArchiveError
from sdviz.regular_files import is_regular

EXAMPLE = "python -m sdviz.archive rm outputs/cfg-3 --yes"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="+", help="archives' folders")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    for path in options.path:  # all of them are looked at before one is touched
        if not (is_regular(path / DATABASE) or is_emptied(path)):
            raise ArchiveError(f"{path} is not an archive: it has no sweep.db; nothing is deleted")
    for path in options.path:
        size = sum(file.lstat().st_size for file in archive_files(path))
        if not options.yes and not _asked(f"delete {path} ({human_bytes(size)})? [y/N] "):
            say(f"{path}: kept")
            continue
        left = remove(path)
        others = f", except {len(left)} file{'s' * (len(left) != 1)} that sdviz did not write"
        say(f"{path}: deleted" + (others if left else ""))
    return 0


def _asked(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ArchiveError("there is no terminal to ask on; --yes deletes without asking")
    say_question(question)
    return input().strip().lower() in ("y", "yes")
