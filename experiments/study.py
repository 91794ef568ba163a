"""What studies share: run a preset as the command would, and keep a figure with its archive."""

from __future__ import annotations

import io
import itertools
import sys
import textwrap
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sdviz import open_archive
from sdviz.errors import SdvizError
from sdviz.request.compose import prepare

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

    from sdviz.archive.reader import Archive
    from sdviz.archive.records import CellRecord

T = TypeVar("T", bound=Hashable)
MIDDLE_GREY = "#777777"  # behind pictures, so that their colours can be judged
_CHINESE = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei"),
)


def sweep(*overrides: str) -> Archive:
    """Runs `python -m sdviz.sweep <overrides>` in this process; the archive, open for reading.

    What is archived already is not computed again. Ends the program, with the command's status and
    words, where the sweep is refused or interrupted.
    """
    from sdviz.commands.sweep.command import check_port
    from sdviz.commands.sweep.conduct import conduct

    try:
        request = prepare(overrides, also=check_port)
        status = conduct(request)
    except SdvizError as error:
        raise SystemExit(f"error: {error}") from None
    if status > 1:
        raise SystemExit(status)
    return open_archive(Path(request.config.outputs) / request.config.name)


def arguments() -> list[str]:
    """What was typed behind the study's name: overrides for its sweeps, such as model=sd15."""
    return sys.argv[1:]


def keep(figure: Figure, archive: Archive, name: str) -> Path:
    """Writes the figure into the archive's folder, where the board finds it and shows it."""
    path = archive.paths.figures / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=160, bbox_inches="tight")
    archive.paths.write(path, drawn.getvalue())
    print(f"figure {path}")
    return path


def plot(width: float = 7.0, height: float = 3.6) -> Figure:
    """An empty figure in the house style; no display is needed."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["font.family"] = ["DejaVu Sans", *chinese_fonts()]
    return Figure(figsize=(width, height), layout="constrained")


def chinese_fonts() -> list[str]:
    """The installed ones of those that have Chinese; without any, figures leave such texts out."""
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return [name for name in _CHINESE if name in known]


def rows_by(archive: Archive, what: Callable[[CellRecord], T]) -> dict[T, list[int]]:
    """Cell indices by `what` a cell has, in the order first seen: rows for `sheet`."""
    rows: dict[T, list[int]] = {}
    for cell in archive.cells:
        rows.setdefault(what(cell), []).append(cell.i)
    return rows


def sheet(
    archive: Archive,
    rows: Sequence[Sequence[int]],
    labels: Sequence[str],
    names: Sequence[str] = (),
) -> Figure:
    """Final images as a figure: `rows` of cell indices; `grid` says what the rest is."""
    return grid([[archive.image(cell) for cell in row] for row in rows], labels, names)


def grid(
    rows: Sequence[Sequence[Image.Image]], labels: Sequence[str], names: Sequence[str] = ()
) -> Figure:
    """Rows of images as a figure, all to one scale; a label above each column, `names` beside the
    rows.
    """
    columns = list(itertools.zip_longest(*rows))
    widths = [max(image.width for image in column if image) for column in columns]
    heights = [max(image.height for image in row) for row in rows]
    scale = 1.3 * len(columns) / sum(widths)  # inches a pixel
    figure = plot(1.3 * len(columns) + 0.2, scale * sum(heights) + 0.1 * len(rows) + 0.3)
    ratios = {"width_ratios": widths, "height_ratios": heights}
    axes = figure.subplots(len(rows), len(columns), squeeze=False, gridspec_kw=ratios)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, images in zip(axes, rows, strict=True):
        for axis, image in zip(row, images, strict=False):
            axis.imshow(image)
    for axis, label in zip(axes[0], labels, strict=False):
        axis.set_title(label, fontsize=8)
    for axis, name in zip(axes[:, 0], names, strict=False):
        text = textwrap.fill(name, 24)
        axis.text(
            -0.06, 0.5, text, transform=axis.transAxes, rotation=90, ha="right", va="center",
            fontsize=8,
        )  # fmt: skip
    return figure
