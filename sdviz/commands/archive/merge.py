"""Merges archives into a new one: every finished cell once, frames and all. The old ones stay."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.merge import merged_plan
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from sdviz.events import SweepFinished, SweepStarted

EXAMPLE = "python -m sdviz.archive merge outputs/all outputs/cfg-3 outputs/cfg-7"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("into", type=Path, help="folder of the new archive")
    parser.add_argument("path", type=Path, nargs="+", help="archives' folders")


def run(options: argparse.Namespace) -> int:
    if (options.into / "sweep.db").exists():
        raise ArchiveError(f"{options.into} is an archive already; give a new folder")
    with ExitStack() as opened:
        archives = [opened.enter_context(Archive(path)) for path in options.path]
        plan = merged_plan(archives)
        config = {"merged_from": [str(path) for path in options.path]}
        begun = SweepStarted(
            options.into.name, plan, config, archives[0].machine, archives[0].versions
        )
    writer = ArchiveWriter.open(
        options.into.parent, options.into.name, plan, config, reuse=True, sources=options.path
    )
    left = len(writer.todo)
    writer.handle(begun)  # the times are those of the machine that the first archive tells
    writer.handle(SweepFinished("interrupted" if left else "finished", 0.0))
    writer.close()
    for note in writer.notes:
        print(note.text)
    told = f"; {left} have no whole picture any more" if left else ""
    print(f"{options.into}: {len(plan.cells) - left} cells{told}")
    return 1 if left else 0
