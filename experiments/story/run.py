"""A story of eight prompts, one picture a page, with their scores."""

from __future__ import annotations

import re
import textwrap

from experiments.study import arguments, chinese_fonts, keep, sheet, sweep


def wrapped(prompt: str, width: int) -> str:
    """In lines of `width` characters at most, which end with a comma where they can."""
    lines = [""]
    for clause in re.findall("[^，、,]+[，、,]?", prompt):
        for part in textwrap.wrap(clause, width, drop_whitespace=False):
            if len(lines[-1] + part) > width:
                lines.append("")
            lines[-1] += part
    return "\n".join(line.strip() for line in lines)


def main() -> None:
    archive = sweep("experiment=story", *arguments())
    cells = [cell.i for cell in archive.cells]
    rows = [cells[k : k + 4] for k in range(0, len(cells), 4)]
    figure = sheet(archive, rows, [])
    scores = archive.scores()
    for page, axis in zip(cells, figure.axes, strict=False):
        told = scores[page]["scores"] if page in scores else {}
        words = [f"{name} {score:.1f}" for name, score in told.items()]
        title = " · ".join([f"page {page + 1}", *words])
        prompt = archive.cell(page).recipe["prompt"]
        if prompt.isascii() or chinese_fonts():
            title += "\n" + wrapped(prompt, 12 if not prompt.isascii() else 28)
        axis.set_title(title, fontsize=7)
    keep(figure, archive, "story")


if __name__ == "__main__":
    main()
