"""A small server of synthetic sweeps, in a thread: description, frames, long poll."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import threading
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web

from sdviz.web.setting_rows import typed_texts
from sdviz.web.viewer import assets
from tests.web.viewer import synthetic

PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/viewer.css"><script src="/viewer.js" defer></script>
<style>body {{ margin: 0 }} .sdviz {{ height: 100vh; height: 100dvh }}</style></head>
<body>{body}</body></html>"""


_PARTS = "frame|image|thumb|cell|live|pack|curves"


class Sweeps:
    """Sweeps by name, served on a free port; `change` tells the long polls."""

    def __init__(self) -> None:
        self.sweeps: dict[str, dict[str, Any]] = {}
        self.changes: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.kinds = 1 << 30  # distinct pictures; fewer make large sweeps cheap to draw
        self.bodies: dict[str, str] = {}
        self.requests: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def add(self, name: str, sweep: dict[str, Any], *, pack: bool = True) -> str:
        """The address of a page that shows the sweep."""
        texts = typed_texts(sweep["fixed"], [cell["r"] for cell in sweep["cells"]])
        sweep.setdefault("typed", texts)
        if pack:
            sweep["urls"] |= {
                "pack": "pack?f={pairs}",
                "curves": "curves?cells={cells}",
                "thumb": "thumb/{cell}.webp",
            }
        self.sweeps[name], self.changes[name] = sweep, []
        return f"{self.address}/page/{name}"

    def change(self, name: str, cells: list[dict[str, Any]], **news: Any) -> None:
        """Applies changed cells (`i` and new fields) and news such as status; tells the pages."""
        sweep = self.sweeps[name]
        sweep["seq"] += 1
        for cell in cells:
            sweep["cells"][cell["i"]].update(cell)
        sweep.update({key: value for key, value in news.items() if key != "reset"})
        self.changes[name].append((sweep["seq"], {"cells": cells, **news}))
        self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self.loop, self._stop, self.changed = (
            asyncio.get_running_loop(),
            asyncio.Event(),
            asyncio.Event(),
        )
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        self.address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        routes = [
            (r"/(viewer\.(?:js|css))", _Asset),
            (r"/page/(.*)", _Page),
            (r"/s/([^/]+)/description.json", _Description),
            (rf"/s/([^/]+)/({_PARTS})(?:/(\d+))?(?:/(\d+))?(?:\.\w+)?", _Part),
        ]  # fmt: skip
        application = tornado.web.Application(routes, log_function=lambda _: None)
        application.sweeps = self  # type: ignore[attr-defined]
        server = tornado.httpserver.HTTPServer(application)
        server.add_sockets(sockets)
        self._ready.set()
        await self._stop.wait()
        self._wake()  # long polls answer before their connections close
        await asyncio.sleep(0.1)
        server.stop()
        await server.close_all_connections()


class _Handler(tornado.web.RequestHandler):
    @property
    def home(self) -> Sweeps:
        return self.application.sweeps  # type: ignore[attr-defined,no-any-return]


class _Asset(_Handler):
    def get(self, name: str) -> None:
        self.set_header("Content-Type", "text/css" if name.endswith("css") else "text/javascript")
        self.write(assets()[name])


class _Page(_Handler):
    def get(self, name: str) -> None:
        plain = f'<div class="sdviz" data-src="/s/{name}/description.json"></div>'
        self.write(PAGE.format(body=self.home.bodies.get(name, plain)))


class _Description(_Handler):
    def get(self, name: str) -> None:
        self.write(json.dumps(self.home.sweeps[name]))


class _Part(_Handler):
    async def get(self, name: str, part: str, cell: str | None, step: str | None) -> None:
        self.home.requests.append(self.request.uri or "")
        sweep = self.home.sweeps[name]
        if part == "live":
            await self._live(name, sweep)
        elif part == "pack":
            self._pack(sweep)
        elif part == "curves":
            cells = [int(c) for c in self.get_argument("cells").split(",") if c]
            self.write({"cells": {str(c): synthetic.detail(sweep, c)["frames"] for c in cells}})
        elif part == "cell":
            self.write(synthetic.detail(sweep, int(cell or 0)))
        else:
            self._picture(sweep, part, int(cell or 0), int(step or 0))

    def _picture(self, sweep: dict[str, Any], part: str, cell: int, step: int) -> None:
        self.set_header("Cache-Control", "max-age=31536000, immutable")
        content = self._bytes(sweep, cell, 0 if part != "frame" else step, png=part == "image")
        if not content:
            raise tornado.web.HTTPError(404)
        self.set_header("Content-Type", "image/png" if part == "image" else "image/webp")
        self.write(content)

    def _bytes(self, sweep: dict[str, Any], cell: int, step: int, *, png: bool = False) -> bytes:
        record = sweep["cells"][cell]
        recipe = {**sweep["fixed"], **record["r"]}
        kind, size, steps = cell % self.home.kinds, int(recipe["width"]), int(recipe["steps"])
        if step > record["f"] or (step == 0 and record["s"] != "done"):
            return b""
        return (
            synthetic.final(kind, size)
            if png
            else synthetic.frame(kind, step or steps, steps, size)
        )

    def _pack(self, sweep: dict[str, Any]) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        for pair in self.get_argument("f").split(","):
            cell, step = (int(number) for number in pair.split("."))
            if content := self._bytes(sweep, cell, step):
                self.write(struct.pack("<III", cell, step, len(content)) + content)

    async def _live(self, name: str, sweep: dict[str, Any]) -> None:
        since = int(self.get_argument("since"))
        if sweep["seq"] <= since:
            changed = self.home.changed
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), 20)
        news: dict[str, Any] = {key: sweep[key] for key in ("seq", "status", "progress")}
        news |= {"notes": [], "schedules": []}
        latest: dict[int, dict[str, Any]] = {}
        for seq, change in self.home.changes[name]:
            if seq > since:
                news["reset"] = news.get("reset") or change.get("reset", False)
                for cell in change["cells"]:
                    latest.setdefault(cell["i"], {}).update(cell)
        news["cells"] = list(latest.values())
        self.write(news)
