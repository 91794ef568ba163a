"""Two sets of cells, aligned on every setting that they share: how far apart are their pictures?"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sdviz.archive.export.grid import cell_picture, largest_size
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.errors import ArchiveError
from sdviz.pictures.measures import largest_difference, normalized_rms, psnr, ssim_of_any_size
from sdviz.pictures.sheet import Sheet
from sdviz.plan.labels import place_name, shareable, value_label
from sdviz.regular_files import whole_file


@dataclass(frozen=True)
class Side:
    """One of the two: its cells, and the archive that has them."""

    archive: Archive
    cells: Sequence[CellRecord]
    label: str


@dataclass(frozen=True)
class Pair:
    """Two cells that differ in nothing but what is compared."""

    a: CellRecord
    b: CellRecord
    shared: Mapping[str, Any]  # the settings, among those that vary, that both have
    rms: float  # 0..1
    largest: int  # 0..255
    psnr: float  # decibels
    ssim: float
    seconds: tuple[float, float]  # total_s of a and of b

    def as_json(self) -> dict[str, Any]:
        """The pair as `compare --json` prints it; an infinite PSNR is null."""
        measures = {"rms": self.rms, "largest": self.largest, "psnr": self.psnr, "ssim": self.ssim}
        finite = {k: v if math.isfinite(v) else None for k, v in measures.items()}
        a_s, b_s = self.seconds
        return {"a": self.a.i, "b": self.b.i, **self.shared, **finite, "a_s": a_s, "b_s": b_s}


def align(a: Side, b: Side, *, apart: Iterable[str] = ()) -> list[Pair]:
    """Pairs of finished cells that agree in all settings but those in `apart`, farthest first.

    Settings that are constant in each side but differ between them (another model, another
    steps=) are what is compared, and need not agree either. Raises ArchiveError if nothing pairs.
    """
    aside = set(apart) | _between(a.cells, b.cells)
    known = {_shared(cell, aside): cell for cell in b.cells if cell.status == "done"}
    matched = [
        (cell, known[shared])
        for cell in a.cells
        if cell.status == "done" and (shared := _shared(cell, aside)) in known
    ]
    if not matched:
        raise ArchiveError(
            f"no cell of {a.label} agrees with one of {b.label} in all of "
            f"{', '.join(sorted(_settings([*a.cells, *b.cells]) - aside))}"
        )
    varying = _varying([*a.cells, *b.cells]) - aside
    pairs = list(_measure(a, b, matched, varying))
    return sorted(pairs, key=lambda pair: -pair.rms)


def _between(a: Sequence[CellRecord], b: Sequence[CellRecord]) -> set[str]:
    """Settings with one value in each side, and not the same."""
    values = [
        {key: {json.dumps(c.recipe.get(key)) for c in cells} for key in _settings([*a, *b])}
        for cells in (a, b)
    ]
    return {
        key
        for key in values[0]
        if len(values[0][key]) == len(values[1][key]) == 1 and values[0][key] != values[1][key]
    }


def _settings(cells: Iterable[CellRecord]) -> set[str]:
    return {key for cell in cells for key in cell.recipe}


def _varying(cells: Sequence[CellRecord]) -> set[str]:
    return {key for key in _settings(cells) if len({str(c.recipe.get(key)) for c in cells}) > 1}


def _shared(cell: CellRecord, aside: set[str]) -> str:
    return json.dumps({k: v for k, v in cell.recipe.items() if k not in aside}, sort_keys=True)


def _measure(
    a: Side, b: Side, matched: Sequence[tuple[CellRecord, CellRecord]], varying: set[str]
) -> Iterator[Pair]:
    for one, other in matched:
        try:
            x, y = np.asarray(a.archive.image(one.i)), np.asarray(b.archive.image(other.i))
        except ArchiveError:
            continue  # `verify` names it
        if x.shape != y.shape:
            continue  # another size is another picture; there is no distance
        yield Pair(
            a=one,
            b=other,
            shared={key: one.recipe.get(key) for key in one.recipe if key in varying},
            rms=normalized_rms(x, y),
            largest=largest_difference(x, y),
            psnr=psnr(x, y),
            ssim=ssim_of_any_size(x, y),
            seconds=(one.timings.get("total_s", 0.0), other.timings.get("total_s", 0.0)),
        )


def summary(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Means over all pairs; `faster` is how many times as fast b was as a."""
    a_s, b_s = (sum(pair.seconds[side] for pair in pairs) for side in (0, 1))
    finite = [pair.psnr for pair in pairs if math.isfinite(pair.psnr)]
    return {
        "pairs": len(pairs),
        "equal": sum(pair.largest == 0 for pair in pairs),
        "within_1": sum(pair.largest <= 1 for pair in pairs),
        "rms": _mean([pair.rms for pair in pairs]),
        "psnr": _mean(finite) if finite else None,
        "ssim": _mean([pair.ssim for pair in pairs if math.isfinite(pair.ssim)]),
        "a_s": round(a_s, 6),
        "b_s": round(b_s, 6),
        "faster": round(a_s / b_s, 4) if b_s else None,
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 6) if values else None


def worst_sheet(a: Side, b: Side, pairs: Sequence[Pair], *, most: int = 12) -> Sheet:
    """A picture of the pairs that are farthest apart: a, b, and their difference made visible."""
    shown = list(pairs[:most])
    labels = [
        "\n".join(f"{key}={value_label(value)}" for key, value in shareable(pair.shared).items())
        + f"\nrms {pair.rms:.4f}"
        for pair in shown
    ]

    def picture(r: int, c: int) -> Image.Image | str:
        x, y = cell_picture(a.archive, shown[r].a), cell_picture(b.archive, shown[r].b)
        if c < 2:
            return (x, y)[c]
        return difference(x, y) if isinstance(x, Image.Image) and isinstance(y, Image.Image) else ""

    size = largest_size([pair.a for pair in shown])
    columns = [_heading(a), _heading(b), "difference x4"]
    return Sheet(rows=labels, columns=columns, picture=picture, size=size)


def _heading(side: Side) -> str:
    """The side's label without folders: a sheet may be shown to others."""
    archive = side.archive.path
    text = side.label.replace(str(archive), archive.resolve().name)
    return re.sub(r"(?<==)\S+", lambda match: str(place_name(match[0])), text)


def difference(a: Image.Image, b: Image.Image) -> Image.Image:
    """|a - b| four times as strong, black where they are equal."""
    apart = np.abs(np.asarray(a, dtype=np.int16) - np.asarray(b, dtype=np.int16)) * 4
    return Image.fromarray(np.minimum(apart, 255).astype(np.uint8))


def save_sheet(image: Image.Image, path: Path) -> None:
    """Writes the picture by the ending of `path`. Raises ArchiveError."""
    try:
        with whole_file(path) as aside:
            image.save(aside)
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path} cannot be written: {error}") from error
