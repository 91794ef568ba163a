"""Archives as the server reads them: in threads of their own, so that a page never waits for a
disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sdviz.archive.figures import figure_bytes, figure_size, figures
from sdviz.archive.paths import DATABASE
from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError
from sdviz.web import describe
from sdviz.web.server.thumbs import Original, Thumbs, originals, packed

_OPEN = 16  # archives that a thread keeps open
_LOOK_S = 0.04  # between two looks at a database that somebody watches
_SETTLING_S = 1.0  # how long after a write a commit may become readable, generously
_AGAIN_S = 0.1  # between two looks in that time
_PATIENCE_S = 20.0  # the longest time that a watcher is kept waiting

T = TypeVar("T")


class Reader:
    """One thread with its open archives."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._archives: OrderedDict[tuple[Path, int], Archive] = OrderedDict()

    async def read(self, path: Path, question: Callable[[Archive], T]) -> T:
        """The answer of `question`. Raises ArchiveError where the archive cannot be read."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: question(self._archive(path)))

    def _archive(self, path: Path) -> Archive:
        """In the thread only."""
        database = path / DATABASE
        known = (path, database.stat().st_ino if database.exists() else 0)  # no deleted namesake
        archive = self._archives.pop(known, None) or Archive(path)
        self._archives[known] = archive
        while len(self._archives) > _OPEN:
            self._archives.popitem(last=False)[1].close()
        return archive


class Feed:
    """What routes and pages ask of archives. Raises ArchiveError where one cannot be read."""

    def __init__(self) -> None:
        self._quick, self._slow = Reader("archives"), Reader("archives-slow")
        self._thumbs = Thumbs()
        self._scaling = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="scaling")

    async def described(self, path: Path) -> dict[str, Any]:
        """The description of docs/viewer-data.md, with the addresses of the server's own extras."""
        return await self._quick.read(path, _described)

    async def changes_now(self, path: Path, since: int) -> dict[str, Any]:
        return await self._quick.read(path, lambda archive: describe.changes(archive, since))

    async def seconds_per_step(self, path: Path) -> dict[str, list[tuple[int, float]]]:
        """{sampler: [(step, mean seconds that the step took in this sampler's cells)]}."""
        return await self._slow.read(path, _seconds_per_step)

    async def asked(self, path: Path, question: Callable[[Archive], T]) -> T:
        """The answer of `question`, which may take its time."""
        return await self._slow.read(path, question)

    async def frame(self, path: Path, index: int, step: int) -> bytes:
        return await self._quick.read(path, lambda archive: archive.frame_bytes(index, step))

    async def image(self, path: Path, index: int) -> bytes:
        return await self._quick.read(path, lambda archive: archive.image_path(index).read_bytes())

    async def figure(self, path: Path, name: str) -> bytes:
        return await self._slow.read(path, lambda archive: figure_bytes(archive.path, name))

    async def figure_size(self, path: Path, name: str) -> tuple[int, int]:
        return await self._slow.read(path, lambda archive: figure_size(archive.path, name))

    async def thumb(self, path: Path, index: int) -> bytes:
        return await self._slow.read(path, lambda archive: self._thumbs.get(archive, index))

    async def pack(self, path: Path, pairs: Sequence[tuple[int, int]], *, small: bool) -> bytes:
        """Many pictures in one answer; `small` ones are scaled on all processors at once."""
        thumbs = self._thumbs
        found = await self._quick.read(path, lambda a: originals(a, pairs, thumbs, small=small))
        large = [one for one in found if not one.is_ready]
        made = dict(zip(large, await asyncio.gather(*map(self._made, large)), strict=True))
        pictures = [(one, made.get(one, one.data)) for one in found]
        return packed([(one, data) for one, data in pictures if data])

    async def _made(self, original: Original) -> bytes:
        """The picture made small; nothing where it is damaged."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._scaling, self._thumbs.made, original)
        except ArchiveError:
            return b""

    async def cell(self, path: Path, index: int) -> dict[str, Any]:
        return await self._slow.read(path, lambda archive: describe.cell(archive, index))

    async def changes(self, path: Path, since: int, gone: Callable[[], bool]) -> dict[str, Any]:
        """What changed after `since`: at once, when it happens, or nothing new after 20 s.

        `gone` tells whether the asker has left.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            seen = self.stamp(path)
            found = await self.changes_now(path, since)
            if found.get("reset") or found.get("seq", since) != since or gone():
                return found
            while self.stamp(path) == seen:
                await asyncio.sleep(_LOOK_S)
                if time.monotonic() > deadline or gone():
                    return found

    @staticmethod
    def stamp(path: Path) -> tuple[float, ...]:
        """Changes whenever the archive does; costs microseconds.

        A commit can be read a moment after its bytes are in the file, so the stamp goes on changing
        for a second: who looked in between looks again.
        """
        stamp: list[float] = []
        newest = 0.0
        for name in (DATABASE, "sweep.db-wal"):
            try:
                facts = (path / name).stat()
            except OSError:
                continue
            stamp += [facts.st_mtime_ns, facts.st_size, facts.st_ino]
            newest = max(newest, facts.st_mtime)
        if time.time() - newest < _SETTLING_S:
            stamp.append(time.monotonic() // _AGAIN_S)
        return tuple(stamp)


def version_of(description: Mapping[str, Any]) -> str:
    """Other for an archive made anew under its name, so that browsers may keep pictures."""
    return hashlib.sha256(str(description.get("created")).encode()).hexdigest()[:8]


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _described(archive: Archive) -> dict[str, Any]:
    described = describe.description(archive)
    version = version_of(described)
    urls = described["urls"]
    for kind in ("frame", "image"):
        urls[kind] += f"?v={version}"
    urls["thumb"] = f"thumb/{{cell}}.webp?v={version}"
    urls["pack"] = f"pack?v={version}&size={{size}}&f={{pairs}}"
    urls["home"] = "../../"
    urls["curves"] = "curves?cells={cells}"
    described["figures"] = [
        {"name": name, "src": f"figure/{name}.png?v={drawn}"}
        for name, drawn in figures(archive.path).items()
    ]
    return described


# At the sweep's settled pace where that is known; else as measured.
_SECONDS_PER_STEP = """
SELECT json_extract(cell.recipe, '$.sampler') AS sampler, took.step,
       avg(took.seconds * coalesce(
           json_extract(cell.timings, '$.comparable_denoise_s')
           / json_extract(cell.timings, '$.denoise_s'), 1))
FROM (
    SELECT cell, step,
           (seconds - lag(seconds, 1, 0) OVER steps) / (step - lag(step, 1, 0) OVER steps)
               AS seconds
    FROM frame WHERE cell < ? WINDOW steps AS (PARTITION BY cell ORDER BY step)
) AS took JOIN cell ON cell.i = took.cell
GROUP BY 1, 2 ORDER BY 1, 2
"""


def _seconds_per_step(archive: Archive) -> dict[str, list[tuple[int, float]]]:
    points: dict[str, list[tuple[int, float]]] = {}
    for sampler, step, seconds in archive.query(_SECONDS_PER_STEP, (archive.first_outside,)):
        points.setdefault(str(sampler), []).append((step, seconds))
    return points
