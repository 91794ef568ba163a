"""Negative prompts: the pyramid disappears when it is in the negative prompt."""

from __future__ import annotations

from experiments.study import arguments, keep, rows_by, sheet, sweep

LABELS = ("negative = prompt", "named only in the negative", "no negative")


def main() -> None:
    archive = sweep("experiment=negative", *arguments())
    rows = rows_by(archive, lambda cell: cell.coords[0])
    figure = sheet(archive, list(rows.values()), [])
    for top, label in zip(figure.axes[:: len(rows[0])], LABELS, strict=True):
        top.set_title(label, fontsize=8, loc="left")
    keep(figure, archive, "negative")


if __name__ == "__main__":
    main()
