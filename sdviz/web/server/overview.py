"""All sweeps in one list: on the first page of Visdom, and at /sdviz/."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError
from sdviz.plan.cells import Axis
from sdviz.plan.labels import position_label
from sdviz.web.server.control import ENVIRONMENT as LIVE
from sdviz.web.server.feed import Feed, check_size, to_json, version_of
from sdviz.web.server.handler import Handler
from sdviz.web.server.readers import NoAnswer

ENVIRONMENT = "main"  # what Visdom shows to who asks for nothing
_MOST = 200  # sweeps in the list, the newest
_THUMBS = 8  # pictures of each
_AT_ONCE = 8  # archives that are read for the list
_PATIENCE_S = 2.0  # with each of them, where nothing is known of it yet
_SOON_S = 0.5  # likewise, where something is
_LATEST_S = 60.0  # an answer is of use
_LONGEST = 500  # characters of a text: browsers ask for the list every two seconds
_LABELS = 6  # values of an axis that are spelled out
_DONE = "SELECT i FROM cell WHERE status='done' AND i < ? ORDER BY i"


class Overview:
    """Sweeps in short, each read again only when its archive has changed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._known: dict[Path, tuple[object, dict[str, Any]]] = {}
        self._asking: dict[Path, asyncio.Task[dict[str, Any]]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def told(self, archives: dict[str, Path]) -> list[dict[str, Any]]:
        """One object a sweep, in the order of `archives` (name of the page -> folder)."""
        newest = list(archives.items())[:_MOST]
        told = await asyncio.gather(*(self._one(path) for _, path in newest))
        self._known = {path: self._known[path] for _, path in newest if path in self._known}
        return [
            {"name": path.name, "url": f"sweep/{name}/", **one}
            for (name, path), one in zip(newest, told, strict=True)
        ]

    async def _one(self, path: Path) -> dict[str, Any]:
        stamp = Feed.stamp(path)
        known = self._known.get(path)
        if known is None or known[0] != stamp or known[1]["status"] == "running":
            if path not in self._asking:
                self._asking[path] = asyncio.create_task(self._ask(path, stamp))
            try:
                return await asyncio.wait_for(
                    asyncio.shield(self._asking[path]), _PATIENCE_S * (known is None) + _SOON_S
                )
            except asyncio.TimeoutError:  # it is in the list as soon as it has answered
                return known[1] if known else _damaged(NoAnswer(f"{path} does not answer"))
        return known[1]

    async def _ask(self, path: Path, stamp: object) -> dict[str, Any]:
        try:
            async with self._turns:
                answer = asyncio.ensure_future(self._feed.asked(path, summary, _LATEST_S))
                await asyncio.wait([answer], timeout=_PATIENCE_S)  # then it is another's turn
            told = await answer
        except NoAnswer as error:
            return _damaged(error)
        except ArchiveError as error:
            told = _damaged(error)
        finally:
            del self._asking[path]
        self._known[path] = stamp, told
        return told


def _damaged(error: ArchiveError) -> dict[str, Any]:
    return {"status": "damaged", "reason": str(error)}


def summary(archive: Archive) -> dict[str, Any]:
    """What the list tells of an archive."""
    check_size(archive)
    counts = archive.counts()
    rows = archive.query(_DONE, (archive.first_outside,))
    done = [row[0] for row in rows]
    shown = [done[len(done) * at // _THUMBS] for at in range(_THUMBS)] if done else []
    version = version_of({"created": archive.about("created", "")})
    first, dims = archive.cell(0).recipe, archive.dims
    along = {key for axis in dims for key in axis.keys}
    return {
        "status": archive.status,
        "created": str(archive.about("created", ""))[:40],
        "seconds": archive.number("seconds") or None,
        "cells": sum(counts.values()),
        "done": counts.get("done", 0),
        "failed": counts.get("failed", 0),
        "axes": [_axis(axis) for axis in dims],
        "prompt": "" if "prompt" in along else str(first.get("prompt", ""))[:_LONGEST],
        "model": "" if "model" in along else str(first.get("model", ""))[:_LONGEST],
        "thumbs": [f"thumb/{i}.webp?v={version}" for i in dict.fromkeys(shown)],
    }


def _axis(axis: Axis) -> str:
    """Like "cfg 7, 15, 20", or "seed (100)"."""
    name = "+".join(axis.keys)[:_LONGEST]
    labels = [position_label(axis, i) for i in range(min(len(axis.values), _LABELS + 1))]
    spelled = ", ".join(labels)
    if len(labels) > _LABELS or len(spelled) > 60:
        return f"{name} ({len(axis.values)})"
    return f"{name} {spelled}"


class SweepsHandler(Handler):
    """Every archive in the folders that hold a registered one."""

    async def get(self) -> None:
        found = await self.app.overview.told(self.app.registry.archives())
        for one in found:
            name = one["url"].split("/")[1]
            one["page"] = f"../env/{name}" if self.app.has_page(name) else ""
        live = f"../env/{LIVE}" if self.app.control.is_attached else ""
        self.answer(to_json({"sweeps": found, "live": live}))


class OverviewHandler(Handler):
    """The list over the whole window."""

    def get(self) -> None:
        body = (
            "<!doctype html><html><head><meta charset=utf-8>"
            '<meta name=viewport content="width=device-width, initial-scale=1">'
            "<link rel=icon href='data:,'><title>sdviz</title>"
            "<style>html,body{margin:0;height:100%;background:#2b2b2b}</style>"
            f"{self.app.head}</head><body>"
            '<div class="sdviz-sweeps" data-src="./"></div></body></html>'
        )
        self.answer(body.encode(), "text/html; charset=utf-8")
