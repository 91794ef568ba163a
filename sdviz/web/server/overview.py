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

ENVIRONMENT = "main"  # which Visdom shows by default
_MOST = 200  # sweeps in the list, the newest
_THUMBS = 8  # pictures per sweep
_AT_ONCE = 8  # archives read at once
_PATIENCE_S = 2.0  # to wait for an archive without a cached summary
_SOON_S = 0.5  # to wait if there is a cached one
_LATEST_S = 60.0  # to wait for an answer in the background
_LONGEST = 500  # characters of a text: browsers ask for the list every two seconds
_LABELS = 6  # values of an axis that are spelled out
_DONE = "SELECT i FROM cell WHERE status='done' AND i < ? ORDER BY i"


class Overview:
    """Cached summaries of sweeps, refreshed when their archives change."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._cached: dict[Path, tuple[object, dict[str, Any]]] = {}
        self._asking: dict[Path, asyncio.Task[dict[str, Any]]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def summaries(self, archives: dict[str, Path]) -> list[dict[str, Any]]:
        """One object per sweep, in the order of `archives` (name of the page -> folder)."""
        newest = list(archives.items())[:_MOST]
        answers = await asyncio.gather(*(self._one(path) for _, path in newest))
        self._cached = {path: self._cached[path] for _, path in newest if path in self._cached}
        return [
            {"name": path.name, "url": f"sweep/{name}/", **one}
            for (name, path), one in zip(newest, answers, strict=True)
        ]

    async def _one(self, path: Path) -> dict[str, Any]:
        stamp = Feed.stamp(path)
        cached = self._cached.get(path)
        if cached is None or cached[0] != stamp or cached[1]["status"] == "running":
            if path not in self._asking:
                self._asking[path] = asyncio.create_task(self._ask(path, stamp))
            try:
                return await asyncio.wait_for(
                    asyncio.shield(self._asking[path]), _PATIENCE_S * (cached is None) + _SOON_S
                )
            except asyncio.TimeoutError:  # it appears in the list once it has answered
                return cached[1] if cached else _damaged(NoAnswer(f"{path} does not answer"))
        return cached[1]

    async def _ask(self, path: Path, stamp: object) -> dict[str, Any]:
        try:
            async with self._turns:
                answer = asyncio.ensure_future(self._feed.asked(path, summary, _LATEST_S))
                await asyncio.wait([answer], timeout=_PATIENCE_S)  # then the next archive may start
            result = await answer
        except NoAnswer as error:
            return _damaged(error)
        except ArchiveError as error:
            result = _damaged(error)
        finally:
            del self._asking[path]
        self._cached[path] = stamp, result
        return result


def _damaged(error: ArchiveError) -> dict[str, Any]:
    return {"status": "damaged", "reason": str(error)}


def summary(archive: Archive) -> dict[str, Any]:
    """The list's entry for one archive."""
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
        sweeps = await self.app.overview.summaries(self.app.registry.archives())
        for one in sweeps:
            name = one["url"].split("/")[1]
            one["page"] = f"../env/{name}" if self.app.has_page(name) else ""
        live = f"../env/{LIVE}" if self.app.control.is_attached else ""
        self.answer(to_json({"sweeps": sweeps, "live": live}))


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
