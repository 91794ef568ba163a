"""Seeds: -1 gives a new picture each time, a fixed one the identical picture, pixel for pixel."""

from __future__ import annotations

import numpy as np

from experiments.study import arguments, keep, sheet, sweep


def main() -> None:
    archive = sweep("experiment=seed", *arguments())
    cells = archive.cells
    labels = [f"seed {cell.recipe['seed']}" for cell in cells]
    keep(sheet(archive, [[cell.i for cell in cells]], labels), archive, "seeds")

    command = ("experiment=seed", *arguments(), "seed=3", "reuse=false")
    first, second = (np.asarray(sweep(*command).image(0), int) for _ in range(2))
    difference = np.abs(first - second).max()
    print(f"seed 3 computed twice: the largest difference of a value is {difference} of 255")


if __name__ == "__main__":
    main()
