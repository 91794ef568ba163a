"""Copies an archive of an older format into a new folder, in the current format.

You need it only to continue its sweep. All other commands read older formats as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.archive.formats import FORMAT
from sdviz.archive.upkeep.migrate import migrate
from sdviz.commands.terminal import say

EXAMPLE = "python -m sdviz.archive migrate outputs/cfg-3 outputs/cfg-3-new"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="an archive's folder")
    parser.add_argument("into", type=Path, help="a new folder")


def run(options: argparse.Namespace) -> int:
    version = migrate(options.path, options.into)
    say(f"{options.into}: format {FORMAT}; {options.path} keeps its format {version}")
    return 0
