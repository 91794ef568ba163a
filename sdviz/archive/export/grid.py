"""grid.png: the labelled contact sheet of a finished sweep, with a `parameters` text in it."""

from __future__ import annotations

import io
import itertools
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.archive.paths import ArchivePaths
from sdviz.errors import ArchiveError
from sdviz.events import Note
from sdviz.pictures import files, infotext
from sdviz.pictures.sheet import Sheet, draw
from sdviz.pictures.texts import read_texts
from sdviz.plan.cells import Axis
from sdviz.plan.labels import (
    common_settings,
    named_label,
    place_name,
    position_label,
    shareable,
    telling,
    value_label,
)
from sdviz.plan.settings import SETTINGS

if TYPE_CHECKING:
    from sdviz.archive.reader import Archive
    from sdviz.archive.records import CellRecord

_MOST_CELLS = 4000  # drawn at a sweep's end by itself; more take longer than a user waits
_LONG = 24  # characters of a label
_SCREEN = 1.6  # its width to its height
_PLOTS = {name: row.plot for name, row in SETTINGS.items()}
_WRAP = 10  # cells of a single axis that still stand in one row
_SIZE: dict[tuple[str, ...], str] = {("width", "height"): "Size", ("height", "width"): "Size"}


def write_grid(paths: ArchivePaths) -> Note | None:
    """Writes grid.png; a Note where it was not drawn, or lacks glyphs."""
    from sdviz.archive.reader import Archive

    with Archive(paths.root) as archive:
        cells = archive.cells
        if not any(cell.status == "done" for cell in cells):
            return None
        if len(cells) > _MOST_CELLS:
            command = f"python -m sdviz.archive export {shlex.quote(str(paths.root))} sheet.png"
            text = f"no grid.png for more than {_MOST_CELLS} cells; {command} draws one"
            return Note("grid", text)
        image, missing = draw(grid_sheet(archive, cells))
        data = _with_texts(archive, cells, image)
    paths.write(paths.grid, data)
    return missing_glyphs(missing)


def sheet_png(archive: Archive) -> bytes | None:
    """The contact sheet as it is now, as the bytes of a PNG; None where it would take too long."""
    cells = archive.cells
    if len(cells) > _MOST_CELLS:
        return None
    buffer = io.BytesIO()
    draw(grid_sheet(archive, cells))[0].save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _with_texts(archive: Archive, cells: list[CellRecord], image: Image.Image) -> bytes:
    first = next(cell for cell in cells if cell.status == "done")
    info = PngInfo()
    info.add_text(files.PARAMETERS, grid_infotext(archive, first))
    summary = archive.as_json()
    del summary["cells"]
    axes = summary["axes"].items()
    summary["axes"] = {k: [shareable({k: value})[k] for value in values] for k, values in axes}
    for by_model in ("identities", "comparable"):
        summary[by_model] = {place_name(k): v for k, v in summary[by_model].items()}
    info.add_text(files.CHUNK, files.record_json(summary))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=4)
    return buffer.getvalue()


def missing_glyphs(missing: str) -> Note | None:
    if not missing:
        return None
    text = f"no font here has the glyphs of {missing[:40]!r}: install one (Debian: fonts-noto-cjk)"
    return Note("font", text)


def grid_sheet(archive: Archive, cells: list[CellRecord]) -> Sheet:
    """Rows and columns as `spread` has them; a long single axis is wrapped."""
    dims = archive.dims
    fixed = common_settings([cell.recipe for cell in cells if cell.recipe], dims)
    settings = (f"{k}={value_label(v)}" for k, v in shareable(telling(fixed)).items())
    title = f"{archive.name}   " + ", ".join(settings)
    by_place = {cell.coords: cell for cell in cells}
    size = largest_size(cells)
    lengths = [len(axis.values) for axis in dims]
    if len(dims) == 1 and lengths[0] > _WRAP:
        return _wrapped(archive, by_place, title, size)
    down, across = spread(dims)
    rows, columns = (
        list(itertools.product(*(range(lengths[axis]) for axis in axes))) for axes in (down, across)
    )

    def labels(axes: Sequence[int], lines: list[tuple[int, ...]]) -> list[str]:
        named = (zip(axes, line, strict=True) for line in lines)
        return ["\n".join(named_label(dims[axis], at) for axis, at in line) for line in named]

    def picture(r: int, c: int) -> Image.Image | str:
        at = dict(zip((*down, *across), (*rows[r], *columns[c]), strict=True))
        return cell_picture(archive, by_place.get(tuple(at[axis] for axis in range(len(dims)))))

    return Sheet(
        rows=labels(down, rows),
        columns=labels(across, columns),
        picture=picture,
        size=size,
        title=title,
    )


def spread(dims: Sequence[Axis]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of the axes that go down, and of those that go across, as on the page.

    The last axis goes across, and axes with long labels go down. The others are placed so that the
    sheet has about the shape of a screen.
    """
    last = len(dims) - 1
    if last < 1:
        return (), tuple(range(len(dims)))
    lengths = [len(axis.values) for axis in dims]
    long = {
        at
        for at, axis in enumerate(dims[:last])
        if any(len(position_label(axis, i)) > _LONG for i in range(lengths[at]))
    }

    def distance(down: tuple[int, ...]) -> float:
        """From a screen's shape, as a ratio's logarithm."""
        rows = math.prod(lengths[axis] for axis in down)
        return round(abs(math.log(math.prod(lengths) / rows / rows / _SCREEN)), 9)

    # At most 2**9 ways; of equal ones that with the axis before the last down.
    ways = range(1, 1 << min(last, 9))
    every = (tuple(a for a in range(last) if way >> (last - 1 - a) & 1) for way in ways)
    best = min((down for down in every if long <= {*down}), key=distance, default=(*range(last),))
    return best, tuple(axis for axis in range(last + 1) if axis not in best)


def _wrapped(
    archive: Archive,
    by_place: Mapping[tuple[int, ...], CellRecord],
    title: str,
    size: tuple[int, int],
) -> Sheet:
    axis = archive.dims[0]
    count = len(axis.values)
    across = max(1, min(count, round((count * _SCREEN * size[1] / size[0]) ** 0.5)))
    rows = -(-count // across)

    def picture(r: int, c: int) -> Image.Image | str:
        at = r * across + c
        return cell_picture(archive, by_place.get((at,))) if at < count else ""

    def caption(r: int, c: int) -> str:
        at = r * across + c
        return named_label(axis, at) if at < count else ""

    return Sheet(
        rows=[""] * rows,
        columns=[""] * across,
        picture=picture,
        size=size,
        title=title,
        caption=caption,
    )


def largest_size(cells: list[CellRecord]) -> tuple[int, int]:
    """Width and height that every cell fits in, pixels."""
    width, height = (
        max((_side(cell.recipe, side) for cell in cells), default=0) for side in ("width", "height")
    )
    return min(width, 8192) or 128, min(height, 8192) or 128


def _side(recipe: Mapping[str, Any], side: str) -> int:
    length, scale = recipe.get(side), recipe.get("hires_scale", 1)
    known = isinstance(length, int) and isinstance(scale, (int, float))
    return round(length * scale) if known else 0


def cell_picture(archive: Archive, cell: CellRecord | None) -> Image.Image | str:
    """A cell's image, or the word for why there is none."""
    if cell is None:
        return "excluded"
    if cell.status != "done":
        return cell.status
    try:
        return archive.image(cell.i)
    except ArchiveError:
        return "damaged"


def grid_infotext(archive: Archive, first: CellRecord) -> str:
    """The first cell's settings and stable-diffusion-webui's words for the axes of a grid."""
    text = read_texts(archive.image_path(first.i)).get(files.PARAMETERS, "")
    known = infotext.read(text[-infotext.LONGEST :])
    pairs: dict[str, Any] = {k: v for k, v in known.pairs.items() if not k.startswith("sdviz ")}
    version = pairs.pop("Version", "sdviz")
    pairs["Script"] = "X/Y/Z plot"
    for letter, axis in zip("XYZ", reversed(archive.dims), strict=False):
        pairs[f"{letter} Type"] = _SIZE.get(axis.keys) or " + ".join(
            _PLOTS.get(key) or key.replace("_", " ").capitalize() for key in axis.keys
        )
        pairs[f"{letter} Values"] = ", ".join(_axis_values(axis))
    return infotext.write(known.prompt, known.negative, {**pairs, "Version": version})


def _axis_values(axis: Axis) -> list[str]:
    """The values as that program's list has them; one with a comma in it is in quotes there."""
    if axis.keys in _SIZE:
        sides = (dict(zip(axis.keys, values, strict=True)) for values in axis.values)
        return [f"{side['width']}x{side['height']}" for side in sides]
    labels = (position_label(axis, at).replace(" · ", " ") for at in range(len(axis.values)))
    return [f'"{label}"' if "," in label else label for label in labels]
