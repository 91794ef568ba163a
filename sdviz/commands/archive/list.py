"""Lists the archives below a folder, newest first; damaged ones are named too."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sdviz.commands.archive._listing import summaries, summary_table

EXAMPLE = "python -m sdviz.archive list outputs"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("outputs", nargs="?", default="outputs", type=Path, help="default: outputs")
    parser.add_argument("--json", action="store_true", help="a list of objects")


def run(options: argparse.Namespace) -> int:
    found = summaries(options.outputs)
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    elif found:
        print(summary_table(found))
    else:
        print(f"no archives in {options.outputs}")
    return 0
