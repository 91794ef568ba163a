"""Contact sheets with rows, columns and pages chosen among the axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from sdviz.archive.export.grid import cell_picture, largest_size, spread
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.errors import ConfigError
from sdviz.pictures.sheet import Sheet
from sdviz.plan.cells import Axis
from sdviz.plan.labels import common_settings, named_label, shareable, telling, value_label

Picture = Callable[[CellRecord | None], "Image.Image | str"]


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Which axes lie across, down and on pages, by number."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    pages: tuple[int, ...] = ()


def arrange(
    dims: Sequence[Axis], *, rows: str | None, columns: str | None, pages: str | None
) -> Arrangement:
    """An arrangement from names of axes, joined by commas; "" is none.

    Where nothing is named they lie as in grid.png; else, of what is not named, the last axis left
    lies across if nothing does, and the rest down. Raises ConfigError for a name that is no axis,
    or one that is named twice.
    """
    if rows is None and columns is None and pages is None:
        both = spread(dims)
        return Arrangement(rows=both[0], columns=both[1])
    texts = {"rows": rows, "columns": columns, "pages": pages}
    chosen = {place: _numbers(dims, place, text) for place, text in texts.items()}
    named = [at for ats in chosen.values() for at in ats or ()]
    twice = {dims[at].name for at in named if named.count(at) > 1}
    if twice:
        raise ConfigError(f"{', '.join(sorted(twice))}: an axis can only be in one place")
    left = [at for at in range(len(dims)) if at not in named]
    across = chosen["columns"]
    if across is None:
        across = tuple(left[-1:])
        left = left[:-1]
    down = (*(chosen["rows"] or ()), *left)
    return Arrangement(rows=down, columns=across, pages=chosen["pages"] or ())


def _numbers(dims: Sequence[Axis], place: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    chosen = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        numbers = [at for at, axis in enumerate(dims) if name in (axis.name, *axis.keys)]
        if not numbers:
            known = ", ".join(axis.name for axis in dims) or "none"
            raise ConfigError(f"--{place} {name}: no such axis; the axes are: {known}")
        chosen.append(numbers[0])
    return tuple(chosen)


def sheets(
    archive: Archive,
    cells: Sequence[CellRecord],
    arrangement: Arrangement,
    picture: Picture | None = None,
) -> list[Sheet]:
    """One sheet per page. Only values that occur in `cells` are shown.

    `picture` returns what is drawn for a cell; by default it is the cell's image.
    """
    dims = archive.dims
    show = picture or (lambda cell: cell_picture(archive, cell))
    by_place = {cell.coords: cell for cell in cells}
    used = [sorted({place[a] for place in by_place}) for a in range(len(dims))]
    fixed = common_settings([cell.recipe for cell in cells if cell.recipe], tuple(dims))
    settings = ", ".join(f"{k}={value_label(v)}" for k, v in shareable(telling(fixed)).items())
    size = largest_size(list(cells))

    def positions(axes: Sequence[int]) -> list[tuple[int, ...]]:
        return list(itertools.product(*(used[a] for a in axes)))

    def label(axes: Sequence[int], at: Sequence[int]) -> str:
        return "\n".join(named_label(dims[a], p) for a, p in zip(axes, at, strict=True))

    def sheet(page: tuple[int, ...]) -> Sheet:
        down, across = positions(arrangement.rows), positions(arrangement.columns)

        def place(r: int, c: int) -> Image.Image | str:
            where = dict(zip(arrangement.pages, page, strict=True))
            where |= dict(zip(arrangement.rows, down[r], strict=True))
            where |= dict(zip(arrangement.columns, across[c], strict=True))
            return show(by_place.get(tuple(where[a] for a in range(len(dims)))))

        title = "   ".join(filter(None, [archive.name, label(arrangement.pages, page), settings]))
        return Sheet(
            rows=[label(arrangement.rows, at) for at in down],
            columns=[label(arrangement.columns, at) for at in across],
            picture=place,
            size=size,
            title=title.replace("\n", " "),
        )

    return [sheet(page) for page in positions(arrangement.pages)]
