"""Lists the archives in a folder, newest first. Damaged ones are included."""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.commands.archive._listing import summaries, summary_table
from sdviz.commands.terminal import say, say_json, say_text

EXAMPLE = "python -m sdviz.archive list outputs"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "outputs",
        nargs="?",
        default="outputs",
        type=Path,
        help="the folder of archives (default outputs)",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects")


def run(options: argparse.Namespace) -> int:
    archives = summaries(options.outputs)
    if options.json:
        say_json(archives, indent=1)
    elif archives:
        say_text(summary_table(archives))
    else:
        say(f"no archives in {options.outputs}")
    return 0
