"""Checks an archive: files, hashes, database. With --render, computes cells again and compares.

The exit status is 1 if something is wrong.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.archive.upkeep.verify import verify
from sdviz.commands.terminal import say, say_json

EXAMPLE = """python -m sdviz.archive verify outputs/cfg-3
python -m sdviz.archive verify outputs/cfg-3 --render 3"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="+", help="archives' folders")
    parser.add_argument("--json", action="store_true", help="a list of {path, where, what}")
    parser.add_argument(
        "--render",
        metavar="CELLS",
        help='compute cells again: a number of cells, evenly spread, or "all", or "cell 3,5"',
    )


def run(options: argparse.Namespace) -> int:
    findings = [(path, finding) for path in options.path for finding in verify(path)]
    rendered = []
    if options.render and not findings:
        from sdviz.commands.archive._rendering import render

        rendered = [outcome for path in options.path for outcome in render(path, options.render)]
        findings += [(o.path, o.finding) for o in rendered if o.finding is not None]
    if options.json:
        records = [{"path": str(p), "where": f.where, "what": f.what} for p, f in findings]
        say_json(records, indent=1)
    else:
        for outcome in rendered:
            say(f"{outcome.path}: cell {outcome.cell}: {outcome.result}")
        for path, finding in findings:
            say(f"{path}: {finding.where}: {finding.what}")
        if not findings:
            say(", ".join(map(str, options.path)) + ": intact")
    return 1 if findings else 0
