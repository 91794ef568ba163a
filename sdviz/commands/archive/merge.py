"""Merges archives into a new one: every finished cell once, with its frames. The old ones stay."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

from sdviz.archive.guard import guarded
from sdviz.archive.paths import DATABASE
from sdviz.archive.store import is_unbegun
from sdviz.archive.upkeep.merge import merged_plan
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.terminal import say
from sdviz.errors import ArchiveError
from sdviz.events import SweepFinished, SweepStarted

EXAMPLE = "python -m sdviz.archive merge outputs/all outputs/cfg-3 outputs/cfg-7"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("into", type=Path, help="folder of the new archive")
    parser.add_argument("path", type=Path, nargs="+", help="archives' folders")


def _may_go_on(into: Path, config: dict[str, list[str]]) -> bool:
    """Whether `into` is free, or has what the same command had written when it was killed."""
    if not os.path.lexists(into / DATABASE) or is_unbegun(into / DATABASE):
        return True
    with guarded(into) as archive:
        empty = not archive.config and not archive.query("SELECT 1 FROM cell LIMIT 1")
        return empty or archive.config == config


def run(options: argparse.Namespace) -> int:
    config = {"merged_from": [str(path) for path in options.path]}
    if not _may_go_on(options.into, config):
        raise ArchiveError(f"{options.into} is already an archive; give a new folder")
    with ExitStack() as opened:
        archives = [opened.enter_context(guarded(path)) for path in options.path]
        plan = merged_plan(archives)
        begun = SweepStarted(
            options.into.name, plan, config, archives[0].machine, archives[0].versions
        )
    writer = ArchiveWriter.open(
        options.into.parent, options.into.name, plan, config, reuse=True, sources=options.path
    )
    left = len(writer.todo)
    writer.handle(begun)  # the times are those of the first archive's machine
    writer.handle(SweepFinished("interrupted" if left else "finished", 0.0))
    writer.close()
    for note in writer.notes:
        say(note.text)
    missing = f"; {left} no longer have an intact picture" if left else ""
    say(f"{options.into}: {len(plan.cells) - left} cells{missing}")
    return 1 if left else 0
