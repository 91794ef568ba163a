"""A story of eight prompts, one picture a page, with their scores."""

from __future__ import annotations

import re
import textwrap

from experiments.study import arguments, chinese_fonts, keep, sheet, sweep


def wrapped(prompt: str, width: int) -> str:
    """In lines of about `width` characters, which end with a comma where they can."""
    lines = [""]
    for clause, comma in re.findall("([^，、,]+)([，、,]?)", prompt):
        *parts, last = textwrap.wrap(clause, width, drop_whitespace=False)
        for part in (*parts, last + comma):
            if len(lines[-1] + part) > width + len(comma):
                lines.append("")
            lines[-1] += part
    return "\n".join(filter(None, map(str.strip, lines)))


def main() -> None:
    archive = sweep("experiment=story", *arguments())
    cells = [cell.i for cell in archive.cells]
    rows = [cells[k : k + 4] for k in range(0, len(cells), 4)]
    figure = sheet(archive, rows, [])
    scores = archive.scores()
    titles = []
    for page in cells:
        told = scores[page]["scores"] if page in scores else {}
        words = " · ".join(f"{name} {score:.1f}" for name, score in told.items())
        prompt = archive.cell(page).recipe["prompt"]
        shown = wrapped(prompt, 16 if not prompt.isascii() else 30)
        readable = prompt.isascii() or chinese_fonts()
        titles.append("\n".join(filter(None, [f"page {page + 1}", words, readable and shown])))
    for title, axis in zip(titles, figure.axes, strict=False):
        axis.set_title(title, fontsize=7)
    lines = max(title.count("\n") + 1 for title in titles)
    figure.set_size_inches(4 * 1.8, len(rows) * (1.8 + 0.14 * lines))
    keep(figure, archive, "story")


if __name__ == "__main__":
    main()
