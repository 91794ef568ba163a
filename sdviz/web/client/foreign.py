"""The page on a Visdom that sdviz did not start: pictures travel inside the messages, so they are
small and few.

Such a server cannot read archives, may keep only four frames of a history (0.3), and holds every
picture in memory: one sheet of thumbnails that grows with the sweep, its history over eight
moments, and the first final images.
"""

from __future__ import annotations

import base64
import io
import math
from html import escape

from PIL import Image, ImageDraw

from sdviz.events import CellFinished, Event, Frame, SweepFinished, SweepStarted
from sdviz.pictures.pixels import Pixels
from sdviz.web.client.outbox import Outbox
from sdviz.web.visdom.panes import Message

_SIDE = 256  # pixels of a final image
_SHEET = 1024  # pixels of the sheet
_LABEL = 14  # pixels of a cell's number
_MOMENTS = 8  # of a denoising that the history keeps
_FINALS = 12


class ForeignPage:
    """One sweep on a foreign Visdom; a `Sink`."""

    def __init__(self, port: int, environment: str) -> None:
        self._outbox = Outbox(port, environment)
        self._name = environment
        self._cells = 0
        self._thumbs: dict[tuple[int, int], Image.Image] = {}  # (cell, moment 1..8)
        self._finals: list[int] = []

    def handle(self, event: Event) -> None:
        match event:
            case SweepStarted():
                self._cells, self._name = len(event.plan.cells), event.name
                self._put_about("running")
            case Frame(pixels=pixels) if pixels is not None:
                moment = math.ceil(_MOMENTS * event.step / event.steps)
                self._thumbs[event.cell, moment] = self._thumb(pixels)
                self._outbox.put("sheet", lambda: self._sheets([_MOMENTS]))
            case CellFinished():
                self._thumbs[event.cell, _MOMENTS] = self._thumb(event.pixels)
                self._final(event)
            case SweepFinished():
                self._put_about(event.status)
                self._outbox.put("sheet", lambda: self._sheets(range(1, _MOMENTS + 1)))

    def take_warnings(self) -> list[str]:
        """As of a Warner."""
        return self._outbox.take_warnings()

    def close(self) -> None:
        self._outbox.close()

    def _put_about(self, status: str) -> None:
        text = (
            f"<b>{escape(self._name)}</b> &middot; {escape(status)} &middot; {self._cells} "
            "cells<p>This Visdom was not started by sdviz, so it shows only a few small pictures. "
            "Stop it and run <code>python -m sdviz.serve</code> for the full page.</p>"
        )
        opts = {"title": "about", "width": 600, "height": 120}
        message = {"win": "about", "data": [{"type": "text", "content": text}], "opts": opts}
        self._outbox.put("about", lambda: [message])

    def _final(self, event: CellFinished) -> None:
        if event.cell not in self._finals and len(self._finals) < _FINALS:
            self._finals.append(event.cell)
            picture = Image.fromarray(event.pixels)
            picture.thumbnail((_SIDE, _SIDE))
            win = f"cell-{event.cell:05d}"
            title = f"cell {event.cell}"
            self._outbox.put(win, lambda: [_picture(win, title, "image", picture)])

    def _thumb(self, pixels: Pixels) -> Image.Image:
        side = _SHEET // max(4, math.ceil(math.sqrt(self._cells)))
        picture = Image.fromarray(pixels)
        picture.thumbnail((side, max(8, side - _LABEL)))
        return picture

    def _sheets(self, moments: range | list[int]) -> list[Message]:
        pictures = [self._grid(moment) for moment in moments]
        return [
            _picture("sheet", "contact sheet", "image_history", picture) for picture in pictures
        ]

    def _grid(self, moment: int) -> Image.Image:
        """All cells in order, each at this moment of its denoising or the latest one before it."""
        columns = max(4, math.ceil(math.sqrt(self._cells)))
        side = _SHEET // columns
        rows = max(1, math.ceil(self._cells / columns))
        grid = Image.new("RGB", (columns * side, rows * side), (0x75, 0x75, 0x75))
        pen = ImageDraw.Draw(grid)
        thumbs = dict(self._thumbs)
        for cell in range(self._cells):
            at = (cell % columns * side, cell // columns * side)
            moments = [m for m in range(1, moment + 1) if (cell, m) in thumbs]
            if moments:
                grid.paste(thumbs[cell, moments[-1]], (at[0], at[1] + _LABEL))
            pen.text((at[0] + 2, at[1] + 1), str(cell), fill=(255, 255, 255))
        return grid


def _picture(win: str, title: str, kind: str, picture: Image.Image) -> Message:
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=80, method=0)
    source = "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()
    opts = {"title": title, "width": picture.width, "height": picture.height + 62}
    return {
        "win": win,
        "data": [{"type": kind, "content": {"src": source, "caption": None}}],
        "opts": opts,
    }
