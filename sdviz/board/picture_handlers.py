"""Pictures by address: frames, final images, figures, and many in one answer."""

from __future__ import annotations

import tornado.web

from sdviz.board.handler import Handler
from sdviz.board.pictures import read_pairs

_FOR_EVER = "max-age=31536000, immutable"


class PictureHandler(Handler):
    """A picture, which a browser may keep."""

    def show(self, picture: bytes, kind: str) -> None:
        """With the cell's key (or another version) in the address, a picture never changes."""
        if self.get_query_argument("v", ""):
            self.set_header("Cache-Control", _FOR_EVER)
        else:
            self.set_header("Cache-Control", "no-cache")
        self.answer(picture, kind)


class FrameHandler(PictureHandler):
    async def get(self, name: str, index: str, step: str) -> None:
        path = self.archive_path(name)
        picture = await self.feed.frame(path, int(index), int(step))
        self.show(picture, "image/webp")


class ImageHandler(PictureHandler):
    async def get(self, name: str, index: str) -> None:
        picture = await self.feed.image(self.archive_path(name), int(index))
        self.show(picture, "image/png")


class ThumbHandler(PictureHandler):
    async def get(self, name: str, index: str) -> None:
        picture = await self.feed.thumb(self.archive_path(name), int(index))
        self.show(picture, "image/webp")


class FigureHandler(PictureHandler):
    async def get(self, name: str, figure: str) -> None:
        picture = await self.feed.figure(self.archive_path(name), figure)
        self.show(picture, "image/png")


class PackHandler(Handler):
    """`urls.pack` of docs/viewer-data.md."""

    async def get(self, name: str) -> None:
        try:
            pairs = read_pairs(self.get_query_argument("f", ""))
        except ValueError:
            raise tornado.web.HTTPError(400, "f= is no list of cell.step") from None
        small = self.get_query_argument("size", "full") == "small"
        packed = await self.feed.pack(self.archive_path(name), pairs, small=small)
        self.answer(packed, "application/octet-stream")
