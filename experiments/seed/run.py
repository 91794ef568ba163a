"""Seeds: -1 gives a new picture each time, a fixed one the identical picture, pixel for pixel."""

from __future__ import annotations

import numpy as np

from experiments.study import arguments, grid, keep, sweep


def main() -> None:
    archive = sweep("experiment=seed", *arguments())
    command = ("experiment=seed", *arguments(), "seed=3", "reuse=false")
    first, second = (sweep(*command).image(0) for _ in range(2))
    difference = (np.asarray(first) != np.asarray(second)).sum()
    pictures, labels = [], []
    for cell in archive.cells:
        seed = cell.recipe["seed"]
        pictures += [first, second] if seed == 3 else [archive.image(cell.i)]
        labels += [f"seed {seed}"] + [f"seed 3 anew:\n{difference} values differ"] * (seed == 3)
    keep(grid([pictures], labels), archive, "seeds")


if __name__ == "__main__":
    main()
