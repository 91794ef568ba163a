"""Samplers: film strips of the same seed, and how far each still is from its own final image."""

from __future__ import annotations

import numpy as np

from experiments.study import arguments, keep, plot, sweep
from sdviz.metrics import rms


def main() -> None:
    archive = sweep("experiment=sampler", *arguments())
    cells = archive.cells
    columns = 8

    strips = plot(1.1 * columns + 1.2, 1.15 * len(cells))
    axes = strips.subplots(len(cells), columns, squeeze=False)
    curves = plot()
    curve = curves.subplots()
    for row, cell in zip(axes, cells, strict=True):
        name = str(cell.recipe["sampler"])
        steps = archive.steps(cell.i)
        chosen = [steps[round(k)] for k in np.linspace(0, len(steps) - 1, columns)]
        for axis, step in zip(row, chosen, strict=True):
            axis.imshow(archive.frame(cell.i, step))
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, fontsize=7)
        final = np.asarray(archive.image(cell.i))
        curve.plot(steps, [rms(archive.frame(cell.i, step), final) for step in steps], label=name)
    curve.set(xlabel="step", ylabel="distance to the final image (rms)")
    curve.legend(fontsize=7)
    keep(strips, archive, "strips")
    keep(curves, archive, "settling")


if __name__ == "__main__":
    main()
