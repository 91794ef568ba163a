"""Samplers: film strips of the same seed, how far each still is from its own final image, and which
is the first to come near the converged one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.study import arguments, keep, plot, sweep
from sdviz.archive.reader import Archive
from sdviz.pictures.measures import rms

COLUMNS = 8  # of the film strips
# Samplers that draw noise at each step converge to no one image, so they are not among these.
NEAREST = {
    "sampler": "euler,heun,ddim,dpmpp_2m_karras,unipc",
    "steps": "5,10,20,40",
    "seed": "1,2,3,4",
    "reference": "auto",
}


def main() -> None:
    archive = sweep("experiment=sampler", *arguments())
    strips(archive)
    settling(archive)
    typed = dict(text.split("=", 1) for text in arguments())
    if "name" in typed:
        typed["name"] += "-nearest"
    asked = {**NEAREST, **typed}
    nearest(sweep("experiment=sampler", *(f"{key}={value}" for key, value in asked.items())))


def strips(archive: Archive) -> None:
    """One strip a sampler: its predicted clean picture from the first step to the last; above, the
    step, where all have equally many.
    """
    cells = archive.cells
    figure = plot(1.1 * COLUMNS + 1.2, 1.15 * len(cells))
    axes = figure.subplots(len(cells), COLUMNS, squeeze=False)
    shown = [chosen(archive.steps(cell.i)) for cell in cells]
    for row, cell, steps in zip(axes, cells, shown, strict=True):
        for axis, step in zip(row, steps, strict=True):
            axis.imshow(archive.frame(cell.i, step))
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(str(cell.recipe["sampler"]), fontsize=9)
    if all(steps == shown[0] for steps in shown):
        for axis, step in zip(axes[0], shown[0], strict=True):
            axis.set_title(f"step {step}", fontsize=9)
    keep(figure, archive, "strips")


def chosen(steps: Sequence[int]) -> list[int]:
    """As many of them as a strip has columns, from the first to the last."""
    return [steps[round(k)] for k in np.linspace(0, len(steps) - 1, COLUMNS)]


def settling(archive: Archive) -> None:
    """How far every frame is from its cell's own final image."""
    figure = plot()
    axis = figure.subplots()
    for cell in archive.cells:
        final, steps = np.asarray(archive.image(cell.i)), archive.steps(cell.i)
        distances = [rms(archive.frame(cell.i, step), final) for step in steps]
        axis.plot(steps, distances, label=str(cell.recipe["sampler"]))
    axis.set(xlabel="step", ylabel="distance to the final image (rms)")
    axis.locator_params(axis="x", integer=True)
    axis.legend(fontsize=7)
    keep(figure, archive, "settling")


def nearest(archive: Archive) -> None:
    """How far final images are from the converged ones, by steps and by denoising seconds."""
    points: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for cell in archive.cells:
        image, reference = archive.image(cell.i), archive.image(archive.referred[cell.i])
        distance = rms(np.asarray(image), np.asarray(reference))
        by_steps = points.setdefault(str(cell.recipe["sampler"]), {})
        by_steps.setdefault(int(cell.recipe["steps"]), []).append(
            (cell.timings["denoise_s"], distance)
        )
    figure = plot(9.0, 3.8)
    over_steps, over_seconds = figure.subplots(1, 2, sharey=True)
    for name, by_steps in points.items():
        # A seed may stand between two pictures until late: a mean would show that seed alone.
        seconds, distances = np.median(list(by_steps.values()), axis=1).T
        over_steps.plot(list(by_steps), distances, marker=".", label=name)
        over_seconds.plot(seconds, distances, marker=".")
    over_steps.set(xlabel="steps", ylabel="distance to the converged image (rms)", yscale="log")
    over_seconds.set(xlabel="seconds of denoising", yscale="log")
    over_steps.legend(fontsize=7)
    keep(figure, archive, "nearest")


if __name__ == "__main__":
    main()
