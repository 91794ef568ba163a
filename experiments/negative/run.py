"""Negative prompts: the pyramid disappears when it is in the negative prompt."""

from __future__ import annotations

from experiments.study import arguments, keep, sheet, sweep

LABELS = ("negative = prompt", "named only in the negative", "no negative")


def main() -> None:
    archive = sweep("experiment=negative", *arguments())
    rows: dict[int, list[int]] = {}
    for cell in archive.cells:
        rows.setdefault(cell.coords[0], []).append(cell.i)
    figure = sheet(archive, list(rows.values()), [])
    for top, label in zip(figure.axes[:: len(rows[0])], LABELS, strict=True):
        top.set_title(label, fontsize=8, loc="left")
    keep(figure, archive, "negative")


if __name__ == "__main__":
    main()
