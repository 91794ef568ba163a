"""CFG scale: follows the prompt more, then burns; what is clipped and what is saturated."""

from __future__ import annotations

import numpy as np

from experiments.study import arguments, keep, plot, sheet, sweep
from sdviz.pictures.measures import clipped_share, saturated_share


def main() -> None:
    archive = sweep("experiment=cfg", *arguments())
    cells = archive.cells
    scales = [cell.recipe["cfg"] for cell in cells]
    pictures = [np.asarray(archive.image(cell.i)) for cell in cells]
    labels = [f"CFG {scale:g}" for scale in scales]
    keep(sheet(archive, [[cell.i for cell in cells]], labels), archive, "cfg")

    figure = plot()
    axis = figure.subplots()
    axis.plot(scales, [saturated_share(p) for p in pictures], marker="o", label="saturated pixels")
    axis.plot(scales, [clipped_share(p) for p in pictures], marker="o", label="clipped values")
    axis.set(xlabel="CFG scale", ylabel="share of the picture", xticks=scales)
    axis.set_ylim(bottom=0)
    scores = archive.scores()
    if scores:
        fit = axis.twinx()
        fit.plot(scales, [scores[cell.i]["scores"]["clip"] for cell in cells], "k--", marker="o")
        fit.set_ylabel("CLIP score with the prompt")
        axis.plot([], [], "k--", marker="o", label="CLIP score, at the right")
    axis.legend(loc="lower left")
    keep(figure, archive, "burning")


if __name__ == "__main__":
    main()
