"""Content and style: two rounds of three images, bare and with a style asked for."""

from __future__ import annotations

from experiments.study import arguments, keep, rows_by, sheet, sweep


def main() -> None:
    archive = sweep("experiment=astronaut", *arguments())
    rows = rows_by(archive, lambda cell: cell.recipe["prompt"])
    seeds = [f"seed {cell.recipe['seed']}" for cell in archive.cells]
    keep(sheet(archive, list(rows.values()), seeds, list(rows)), archive, "astronaut")


if __name__ == "__main__":
    main()
