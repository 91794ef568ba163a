"""Finds cells by their settings in all archives in a folder.

A rule is a list of terms with =, !=, <, <=, >, >= or ~ (contains). A cell must match all of them.
Terms compare settings, status, times (total_s<2), key and name.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdviz.archive.paths import archive_folders
from sdviz.archive.table import text_table
from sdviz.commands.archive._choosing import Match, find, read_rule
from sdviz.commands.terminal import say, say_json, say_text
from sdviz.errors import ArchiveError
from sdviz.plan.labels import value_label
from sdviz.plan.settings import SETTINGS

EXAMPLE = """python -m sdviz.archive find 'sampler=heun cfg>10'
python -m sdviz.archive find 'prompt~castle status=done' outputs --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", help="for example 'sampler=heun cfg>10'")
    parser.add_argument(
        "outputs", nargs="*", default=[Path("outputs")], type=Path, help="folders of archives"
    )
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.add_argument("--most", type=int, default=50, metavar="N", help="rows shown (default 50)")


def run(options: argparse.Namespace) -> int:
    rule = read_rule(options.rule)
    missing = [folder for folder in options.outputs if not folder.is_dir()]
    if missing:
        raise ArchiveError(f"{missing[0]} is not a folder; give the folder of outputs=")
    folders = [one for folder in options.outputs for one in archive_folders(folder)]
    matches = list(find(folders, rule, damaged=lambda error: say(f"skipped: {error}", error=True)))
    if options.json:
        say_json([one.as_json() for one in matches])
        return 0
    asked = [term.key for term in rule if term.key in SETTINGS]
    keys = dict.fromkeys(["prompt", "cfg", "sampler", "steps", "seed", *asked])
    rows = [
        [one.cell.i, one.cell.status, *(_value(one, key) for key in keys), _place(one)]
        for one in matches[: options.most]
    ]
    say_text(text_table(["cell", "status", *keys, "image"], rows, widest=60, whole=["image"]))
    archives = len({one.path for one in matches})
    summary = f"{_count(len(matches), 'cell')} in {_count(archives, 'archive')}"
    say(summary + _more(len(matches), options.most))
    return 0


def _value(match: Match, key: str) -> str:
    recipe = match.cell.recipe
    return value_label(recipe[key], key) if key in recipe else ""


def _place(match: Match) -> str:
    return str(match.path / (match.cell.image or ""))


def _count(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)


def _more(count: int, most: int) -> str:
    return f"; showing the first {most}, --most {count} shows all" if count > most else ""
