"""The routes below /sdviz/: sweeps and pictures, read from the archives."""

from __future__ import annotations

import os
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tornado.web

from sdviz.__version__ import __version__
from sdviz.archive.figures import NAME as FIGURE
from sdviz.web.server.feed import to_json
from sdviz.web.server.handler import Handler
from sdviz.web.server.overview import OverviewHandler, SweepsHandler
from sdviz.web.server.thumbs import read_pairs

_MOST_CURVES = 256


def sdviz_routes(shared: dict[str, Any]) -> list[Any]:
    """Tornado's routes; `shared` holds the BoardApplication as `app`, and its `feed`."""
    sweep = r"/sdviz/sweep/([A-Za-z0-9._-]+)"
    return [
        (r"/sdviz/health", HealthHandler, shared),
        (r"/sdviz/hello", HelloHandler, shared),
        (r"/sdviz/register", RegisterHandler, shared),
        (r"/sdviz/stop", StopHandler, shared),
        (r"/sdviz/", OverviewHandler, shared),
        (r"/sdviz/sweeps", SweepsHandler, shared),
        (rf"{sweep}/", SweepPageHandler, shared),
        (rf"{sweep}/description\.json", DescriptionHandler, shared),
        (rf"{sweep}/live", ChangesHandler, shared),
        (rf"{sweep}/cell/(\d{{1,9}})\.json", CellHandler, shared),
        (rf"{sweep}/frame/(\d{{1,9}})/(\d{{1,9}})\.webp", FrameHandler, shared),
        (rf"{sweep}/thumb/(\d{{1,9}})\.webp", ThumbHandler, shared),
        (rf"{sweep}/pack", PackHandler, shared),
        (rf"{sweep}/curves", CurvesHandler, shared),
        (rf"{sweep}/image/(\d{{1,9}})\.png", ImageHandler, shared),
        (rf"{sweep}/figure/({FIGURE})\.png", FigureHandler, shared),
        (r"/sdviz/.*", MissingHandler, shared),
    ]


class MissingHandler(Handler):
    def prepare(self) -> None:
        raise tornado.web.HTTPError(404, "there is no such address")


class HealthHandler(Handler):
    """Identifies an sdviz board; a launcher checks this before it starts another."""

    def get(self) -> None:
        self.finish(
            {
                "sdviz": __version__,
                "visdom": version("visdom"),
                "pid": os.getpid(),
                "listen": self.app.board.listen,
                "login": self.app.login.required,
                "hosts": sorted(self.app.guard.hosts),
                "base_url": self.app.board.base_url,
                "live": self.app.control.is_attached,
            }
        )


class HelloHandler(Handler):
    """Whether the client's token is correct."""

    def post(self) -> None:
        self.require_token()
        self.finish({"pid": os.getpid()})


class RegisterHandler(Handler):
    """Registers the archive of a sweep: {"path", "name", "max_windows"} -> {"name"} of its page."""

    def post(self) -> None:
        self.require_token()
        match self.asked():
            case {"path": str(path), "name": str(name), **rest} if "\0" not in path:
                windows = rest.get("max_windows")
            case _:
                raise tornado.web.HTTPError(400, "path and name are texts")
        if windows is not None and (type(windows) is not int or not 0 <= windows <= 1000):
            raise tornado.web.HTTPError(400, "max_windows is a whole number up to 1000")
        name = self.app.registry.add(Path(path), name)
        self.app.follow(name, windows)
        self.finish({"name": name})


class StopHandler(Handler):
    def post(self) -> None:
        self.require_token()
        self.finish({"stopping": os.getpid()})
        self.app.stop()


class SweepPageHandler(Handler):
    """The viewer alone, over the whole window."""

    def get(self, name: str) -> None:
        title = escape(self.archive_path(name).name)
        body = (
            "<!doctype html><html><head><meta charset=utf-8>"
            '<meta name=viewport content="width=device-width, initial-scale=1">'
            f"<link rel=icon href='data:,'><title>{title}</title>"
            "<style>html,body{margin:0;height:100%;background:#757575}</style>"
            f"{self.app.head}</head><body>"
            '<div class="sdviz sdviz-page" data-src="description.json"></div></body></html>'
        )
        self.answer(body.encode(), "text/html; charset=utf-8")


class DescriptionHandler(Handler):
    async def get(self, name: str) -> None:
        path, attached = self.archive_path(name), self.app.control.is_attached
        description = await self.feed.described_json(path, live_control=attached)
        packed = "gzip" in self.request.headers.get("Accept-Encoding", "")
        if packed:
            self.set_header("Content-Encoding", "gzip")
            self.set_header("Vary", "Accept-Encoding")
        self.answer(description.packed if packed else description.plain)


class ChangesHandler(Handler):
    """The long poll of docs/viewer-data.md."""

    _gone = False

    def on_connection_close(self) -> None:
        self._gone = True

    async def get(self, name: str) -> None:
        try:
            since = int(self.get_query_argument("since", "0"))
        except ValueError:
            raise tornado.web.HTTPError(400, "since= is not a number") from None
        changes = await self.feed.changes(self.archive_path(name), since, lambda: self._gone)
        if not self._gone:
            self.answer(to_json(changes))


class CellHandler(Handler):
    async def get(self, name: str, index: str) -> None:
        self.answer(to_json(await self.feed.cell(self.archive_path(name), int(index))))


class CurvesHandler(Handler):
    """`urls.curves` of docs/viewer-data.md."""

    async def get(self, name: str) -> None:
        try:
            cells = [int(i) for i in self.get_query_argument("cells", "").split(",") if i]
        except ValueError:
            raise tornado.web.HTTPError(400, "cells= is no list of numbers") from None
        path = self.archive_path(name)
        # One by one, so that other requests are served in between: each decodes a cell's frames.
        frames = {str(i): (await self.feed.cell(path, i))["frames"] for i in cells[:_MOST_CURVES]}
        self.answer(to_json({"cells": frames}))


_FOR_EVER = "max-age=31536000, immutable"


class PictureHandler(Handler):
    """A picture that a browser may cache."""

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
