"""Compares two archives, or two groups of cells of one: distance, PSNR, SSIM, time.

Cells form a pair if all their other settings agree. With --by, two rules choose the two sides.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from sdviz.archive.export.compare import Pair, Side, align, save_sheet, summary, worst_sheet
from sdviz.archive.guard import guarded
from sdviz.archive.table import text_table
from sdviz.commands.archive._choosing import facts, read_rule
from sdviz.commands.terminal import say, say_json, say_text
from sdviz.errors import ConfigError
from sdviz.pictures.sheet import draw
from sdviz.plan.rules import Rule, matches

EXAMPLE = """python -m sdviz.archive compare outputs/fast outputs/exact --picture worst.png
python -m sdviz.archive compare outputs/samplers --by 'sampler=euler' 'sampler=heun'"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="+", help="one archive, or two")
    parser.add_argument("--by", nargs=2, metavar="RULE", help="two rules that choose the two sides")
    parser.add_argument("--picture", type=Path, help="write a sheet of the worst pairs")
    parser.add_argument(
        "--most", type=int, default=12, metavar="N", help="pairs shown (default 12)"
    )
    parser.add_argument("--json", action="store_true", help="one object: summary and pairs")


def run(options: argparse.Namespace) -> int:
    with ExitStack() as opened:
        a, b, apart = _sides(options, opened)
        pairs = align(a, b, apart=apart)
        totals = summary(pairs)
        if options.picture:
            image, _ = draw(worst_sheet(a, b, pairs, most=options.most))
            save_sheet(image, options.picture)
        if options.json:
            say_json({"summary": totals, "pairs": [pair.as_json() for pair in pairs]})
            return 0
        say(f"a: {a.label}", f"b: {b.label}")
        say_text(_table(pairs[: options.most]))
        say(_sentence(totals))
        if options.picture:
            say(f"picture: {options.picture}")
    return 0


def _sides(options: argparse.Namespace, opened: ExitStack) -> tuple[Side, Side, set[str]]:
    archives = [opened.enter_context(guarded(path)) for path in options.path]
    if len(archives) > 2 or (len(archives) == 1 and not options.by):
        raise ConfigError("compare: give two archives, or one and --by with two rules")
    rules: list[Rule] = [read_rule(text) for text in options.by or ()]
    sides = []
    for at in (0, 1):
        archive = archives[at % len(archives)]
        cells = archive.cells
        label = str(archive.path)
        if rules:
            cells = [c for c in cells if matches([rules[at]], facts(c, archive.name))]
            label += f" {options.by[at]}"
        sides.append(Side(archive, cells, label))
    apart = {term.key for rule in rules for term in rule}
    return sides[0], sides[1], apart


def _table(pairs: list[Pair]) -> str:
    if not pairs:
        return ""
    keys = list(pairs[0].shared)
    rows = [
        [
            *(pair.shared.get(key) for key in keys),
            f"{pair.rms:.4f}",
            pair.largest,
            f"{pair.psnr:.1f}",
            f"{pair.ssim:.3f}",
            f"{pair.seconds[0]:.3f}",
            f"{pair.seconds[1]:.3f}",
        ]
        for pair in pairs
    ]
    return text_table([*keys, "rms", "largest", "PSNR", "SSIM", "a s", "b s"], rows)


def _sentence(totals: dict[str, object]) -> str:
    pairs = "1 pair" if totals["pairs"] == 1 else f"{totals['pairs']} pairs"
    return (
        f"{pairs}: {totals['equal']} equal, {totals['within_1']} within 1/255; mean rms"
        f" {totals['rms']}, SSIM {totals['ssim']}; b took {totals['b_s']} s, a {totals['a_s']} s"
    )
