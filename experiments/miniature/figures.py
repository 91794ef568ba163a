"""The card's two curves: what guidance does, and how samplers converge."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def guidance(rows: list[dict[str, float]], path: Path) -> None:
    """Adherence, colours and clipping over the CFG scale."""
    scale = [row["cfg"] for row in rows]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for fact in ("kind", "colour", "count", "light", "all six"):
        left.plot(scale, [100 * row[fact] for row in rows], marker="o", label=fact)
    left.set(xlabel="CFG scale", ylabel="read as asked (%)", xscale="log", ylim=(0, 102))
    left.legend(fontsize=8)
    middle.plot(scale, [row["colourfulness"] for row in rows], marker="o")
    middle.set(xlabel="CFG scale", ylabel="colourfulness (0..109)", xscale="log")
    right.plot(
        scale, [100 * row["saturated"] for row in rows], marker="o", label="saturated > 0.95"
    )
    right.plot(scale, [100 * row["clipped"] for row in rows], marker="o", label="clipped values")
    right.set(xlabel="CFG scale", ylabel="%", xscale="log", ylim=(0, None))
    right.legend(fontsize=8)
    for axis in (left, middle, right):
        axis.set_xticks(scale, [f"{value:g}" for value in scale])
        axis.minorticks_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def order(measured: dict, path: Path) -> None:
    """Distance to the converged image over evaluations of the denoiser, a line for each sampler."""
    figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for name, rows in measured.items():
        evaluations = [int(number) for number in rows]
        axis.plot(evaluations, list(rows.values()), marker="o", label=name)
        axis.set_xticks(evaluations, [str(number) for number in evaluations])
    label = "median difference (of 255)"
    axis.set(xlabel="evaluations", ylabel=label, xscale="log", yscale="log")
    axis.minorticks_off()
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
