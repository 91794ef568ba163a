"""A story of eight prompts, one picture a page, with their scores."""

from __future__ import annotations

import textwrap

from experiments.study import arguments, chinese_fonts, keep, sheet, sweep


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
            title += "\n" + textwrap.fill(prompt, 12 if not prompt.isascii() else 28)
        axis.set_title(title, fontsize=7)
    keep(figure, archive, "story")


if __name__ == "__main__":
    main()
