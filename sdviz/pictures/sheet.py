"""A labelled contact sheet: labels outside the pixels, cells made smaller where they are many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from sdviz.pictures.fonts import Typeface

_MOST_PIXELS = 48_000_000  # of a sheet: 200 MB while it is drawn
_LONGEST_SIDE = 16_000  # what browsers and WebP still take
_GAP = 4  # pixels between cells
_PAPER, _INK, _FAINT, _EMPTY = "#ffffff", "#1c1c1c", "#666666", "#eeeeee"
_TITLE = 260  # pixels; a title is not wrapped to less, even above narrow sheets
_MOST_LINES = 12  # of a column's label


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What to draw. `picture(row, column)` gives an image, or the words for an empty place.

    Labels are texts, with line breaks where wished; `caption(row, column)` stands below a cell.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    picture: Callable[[int, int], Image.Image | str]
    size: tuple[int, int]  # of the largest picture, pixels
    title: str = ""
    caption: Callable[[int, int], str] | None = field(default=None)
    limit: int = _MOST_PIXELS  # of the whole sheet

    def texts(self) -> str:
        """All that will be written, to find fonts by."""
        captions = ""
        if self.caption is not None:
            places = ((r, c) for r in range(len(self.rows)) for c in range(len(self.columns)))
            captions = "".join(self.caption(r, c) for r, c in places)
        return "".join([self.title, *self.rows, *self.columns, captions])


def scale_of(sheet: Sheet) -> float:
    """By how much cells are made smaller so that the sheet stays usable; 1 where it is anyway."""
    width = max(1, len(sheet.columns) * (sheet.size[0] + _GAP))
    height = max(1, len(sheet.rows) * (sheet.size[1] + _GAP))
    by_area = math.sqrt(sheet.limit / width / height)
    return min(1.0, _LONGEST_SIDE / width, _LONGEST_SIDE / height, by_area)


def font_size(cell_width: int) -> int:
    """Label height in pixels: readable at 100 %, but not too large for small cells."""
    return max(11, min(32, cell_width // 11))


def draw(sheet: Sheet) -> tuple[Image.Image, str]:
    """The sheet as an image, and the characters of its labels that no font here has."""
    scale = scale_of(sheet)
    wide, high = (max(1, round(side * scale)) for side in sheet.size)
    face = Typeface(font_size(wide), sheet.texts())
    labels = _Labels(sheet, face, wide, high)
    left, top = labels.left, labels.top
    size = (
        max(left + len(sheet.columns) * (wide + _GAP), labels.title_width) + _GAP,
        top + len(sheet.rows) * (high + labels.below + _GAP) + _GAP,
    )
    image = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(image)
    labels.draw(pen)
    for r in range(len(sheet.rows)):
        for c in range(len(sheet.columns)):
            x, y = left + c * (wide + _GAP), top + r * (high + labels.below + _GAP)
            _place(image, pen, face, sheet.picture(r, c), (x, y, wide, high))
            if sheet.caption is not None:
                lines = face.wrap(sheet.caption(r, c), wide, labels.caption_lines)
                for at, line in enumerate(lines):
                    face.draw(pen, x, y + high + at * face.line, line, _INK)
    return image, face.missing


def _place(
    image: Image.Image,
    pen: ImageDraw.ImageDraw,
    face: Typeface,
    picture: Image.Image | str,
    box: tuple[int, int, int, int],
) -> None:
    x, y, wide, high = box
    if isinstance(picture, str):
        pen.rectangle((x, y, x + wide - 1, y + high - 1), fill=_EMPTY)
        for at, line in enumerate(face.wrap(picture, wide - 4, max(1, high // face.line))):
            face.draw(pen, x + 4, y + 2 + at * face.line, line, _FAINT)
        return
    if picture.width > wide or picture.height > high:
        ratio = min(wide / picture.width, high / picture.height)
        smaller = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
        picture = picture.resize(smaller, Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.paste(picture, (x, y))


class _Labels:
    """Where the labels of a sheet go: columns above, rows to the left, captions below the cells."""

    def __init__(self, sheet: Sheet, face: Typeface, wide: int, high: int) -> None:
        self._sheet, self._face, self._high = sheet, face, high
        self._wide = wide
        row_width = min(max(wide, 120), 360)
        lines = max(1, (high + _GAP) // face.line)
        self._rows = [face.wrap(label, row_width, lines) for label in sheet.rows]
        self._columns = [face.wrap(label, wide, _MOST_LINES) for label in sheet.columns]
        longest = max((face.width(line) for row in self._rows for line in row), default=0)
        self.left = _GAP + (round(longest) + 2 * _GAP if longest else 0)
        across = self.left + len(sheet.columns) * (wide + _GAP)
        self._title = face.wrap(sheet.title, max(across, _TITLE), 4) if sheet.title else []
        self.title_width = _GAP + round(max(map(face.width, self._title), default=0))
        column_lines = max(map(len, self._columns), default=0)
        self._heads = _GAP + len(self._title) * face.line
        self.top = self._heads + column_lines * face.line + _GAP
        self.caption_lines = 3
        self.below = self.caption_lines * face.line if sheet.caption is not None else 0
        self._column_lines = column_lines

    def draw(self, pen: ImageDraw.ImageDraw) -> None:
        face, pitch = self._face, self._wide + _GAP
        for at, line in enumerate(self._title):
            face.draw(pen, _GAP, _GAP + at * face.line, line, _FAINT)
        for c, lines in enumerate(self._columns):
            y = self.top - _GAP - len(lines) * face.line
            for at, line in enumerate(lines):
                face.draw(pen, self.left + c * pitch, y + at * face.line, line, _INK)
        for r, lines in enumerate(self._rows):
            y = self.top + r * (self._high + self.below + _GAP)
            for at, line in enumerate(lines):
                face.draw(pen, _GAP, y + at * face.line, line, _INK)
