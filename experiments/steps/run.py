"""Steps: where does the picture stop changing? Distance to the picture of the most steps."""

from __future__ import annotations

import numpy as np

from experiments.study import arguments, keep, plot, sheet, sweep
from sdviz.pictures.measures import rms


def main() -> None:
    archive = sweep("experiment=steps", *arguments())
    cells = sorted(archive.cells, key=lambda cell: int(cell.recipe["steps"]))
    steps = [int(cell.recipe["steps"]) for cell in cells]
    labels = [f"{count} steps" for count in steps]
    keep(sheet(archive, [[cell.i for cell in cells]], labels), archive, "steps")

    pictures = [np.asarray(archive.image(cell.i)) for cell in cells]
    figure = plot()
    axis = figure.subplots()
    axis.plot(steps[:-1], [rms(p, pictures[-1]) for p in pictures[:-1]], marker="o")
    axis.set(xlabel="steps", ylabel=f"distance to the picture of {steps[-1]} steps (rms)")
    keep(figure, archive, "converging")


if __name__ == "__main__":
    main()
