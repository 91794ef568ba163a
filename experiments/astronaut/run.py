"""Content and style: two rounds of three images, bare and with a style asked for."""

from __future__ import annotations

from experiments.study import arguments, keep, sheet, sweep


def main() -> None:
    archive = sweep("experiment=astronaut", *arguments())
    rows: dict[str, list[int]] = {}
    seeds = []
    for cell in archive.cells:
        rows.setdefault(cell.recipe["prompt"], []).append(cell.i)
        seeds.append(f"seed {cell.recipe['seed']}")
    keep(sheet(archive, list(rows.values()), seeds, list(rows)), archive, "astronaut")


if __name__ == "__main__":
    main()
