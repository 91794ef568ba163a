"""The server's read access to archives, for pages and browsers."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sdviz.archive.figures import figure_bytes, figure_size, figures
from sdviz.archive.paths import DATABASE
from sdviz.archive.reader import Archive
from sdviz.archive.store import as_json
from sdviz.errors import ArchiveError
from sdviz.web import describe
from sdviz.web.server.readers import NoAnswer, Readers, Threads
from sdviz.web.server.thumbs import Original, Thumbs, originals, packed, plain_bytes

_LOOK_S = 0.04  # between two checks of a watched database
_SETTLING_S = 1.0  # how long after a write a commit may become readable, generously
_AGAIN_S = 0.1  # between two checks in that time
_PATIENCE_S = 20.0  # the longest wait of a client
_LATEST_S = 60.0  # to wait for a description
_MOST_CACHED = 64 << 20  # bytes of cached descriptions
_MOST_VALUES = 50_000  # along all axes together
_MOST_AXES = 8_000_000  # bytes of them; a thousand prompts of a thousand words
_MOST_TEXT = 100_000_000  # bytes of settings; some 80,000 cells
_AXES = (
    'SELECT total(CASE WHEN json_valid("values") THEN json_array_length("values") END),'
    ' total(length(keys)) + total(length("values")) FROM axis'
)
_TEXT = (
    "SELECT total(length(recipe)) + total(length(coords)) + total(length(timings))"
    " + total(length(notes)) + total(length(reason)) FROM cell"
)

T = TypeVar("T")


class Feed:
    """Read access to archives. Raises ArchiveError if one cannot be read."""

    def __init__(self) -> None:
        self._quick, self._slow = Readers("archives"), Readers("archives-slow")
        self._cached: OrderedDict[Path, tuple[tuple[float, ...], Encoded]] = OrderedDict()
        self._encoding: dict[tuple[Path, tuple[float, ...]], asyncio.Task[Encoded]] = {}
        self._thumbs = Thumbs()
        self._scaling = Threads("scaling", os.cpu_count() or 1)

    async def described(self, path: Path) -> dict[str, Any]:
        """The description of docs/viewer-data.md, with the server's extra addresses."""
        return await self._quick.read(path, _described, _LATEST_S)

    async def described_json(self, path: Path, *, live_control: bool) -> Encoded:
        """The same for a browser, read and encoded once for each state of the archive."""
        stamp = (*self.stamp(path), live_control)
        cached = self._cached.get(path)
        if cached is not None and cached[0] == stamp:
            return cached[1]
        key = path, stamp
        if key not in self._encoding:
            self._encoding[key] = asyncio.create_task(self._encode(path, stamp, live_control))
            self._encoding[key].add_done_callback(lambda task: self._finish(key, task))
        try:
            return await asyncio.wait_for(asyncio.shield(self._encoding[key]), _PATIENCE_S)
        except asyncio.TimeoutError:
            raise NoAnswer(f"{path} does not answer yet") from None

    def _finish(self, key: tuple[Path, tuple[float, ...]], task: asyncio.Task[Encoded]) -> None:
        del self._encoding[key]
        if not task.cancelled():
            task.exception()  # retrieved, even if no request waits for it

    async def _encode(self, path: Path, stamp: tuple[float, ...], live_control: bool) -> Encoded:
        """Shared by all requests for the same state, also after the first one timed out."""
        more = {"live_control": True} if live_control else {}
        running, encoded = await self._quick.read(
            path, lambda archive: _encoded(_described(archive) | more), _LATEST_S
        )
        self._cached.pop(path, None)
        if not running:  # a running sweep's progress changes without a write
            self._cached[path] = stamp, encoded
            while sum(one[1].size for one in self._cached.values()) > _MOST_CACHED:
                self._cached.popitem(last=False)
        return encoded

    async def changes_now(self, path: Path, since: int) -> dict[str, Any]:
        return await self._quick.read(path, lambda archive: describe.changes(archive, since))

    async def seconds_per_step(self, path: Path) -> dict[str, list[tuple[int, float]]]:
        """{sampler: [(step, mean seconds that the step took in this sampler's cells)]}."""
        return await self._slow.read(path, _seconds_per_step)

    async def asked(self, path: Path, question: Callable[[Archive], T], patience: float) -> T:
        """The answer of `question`; raises NoAnswer after `patience` seconds."""
        return await self._slow.read(path, question, patience)

    async def frame(self, path: Path, index: int, step: int) -> bytes:
        return await self._quick.read(path, lambda archive: archive.frame_bytes(index, step))

    async def image(self, path: Path, index: int) -> bytes:
        return await self._quick.read(path, lambda archive: plain_bytes(archive.image_path(index)))

    async def figure(self, path: Path, name: str) -> bytes:
        return await self._slow.read(path, lambda archive: figure_bytes(archive.path, name))

    async def figure_size(self, path: Path, name: str) -> tuple[int, int]:
        return await self._slow.read(path, lambda archive: figure_size(archive.path, name))

    async def thumb(self, path: Path, index: int) -> bytes:
        return await self._slow.read(path, lambda archive: self._thumbs.get(archive, index))

    async def pack(self, path: Path, pairs: Sequence[tuple[int, int]], *, small: bool) -> bytes:
        """Many pictures in one answer; `small` ones are scaled on all processors at once."""
        thumbs = self._thumbs
        sources = await self._quick.read(path, lambda a: originals(a, pairs, thumbs, small=small))
        large = [one for one in sources if not one.is_ready]
        made = dict(zip(large, await asyncio.gather(*map(self._made, large)), strict=True))
        pictures = [(one, made.get(one, one.data)) for one in sources]
        return packed([(one, data) for one, data in pictures if data])

    async def _made(self, original: Original) -> bytes:
        """The picture made small; nothing where it is damaged."""
        try:
            return await asyncio.wrap_future(
                self._scaling.submit(lambda: self._thumbs.made(original))
            )
        except ArchiveError:
            return b""

    async def cell(self, path: Path, index: int) -> dict[str, Any]:
        return await self._slow.read(path, lambda archive: describe.cell(archive, index))

    async def changes(self, path: Path, since: int, gone: Callable[[], bool]) -> dict[str, Any]:
        """The changes after `since`, as soon as there are any; without changes after 20 s.

        `gone`: whether the client has disconnected.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            seen = self.stamp(path)
            changes = await self.changes_now(path, since)
            if changes.get("reset") or changes.get("seq", since) != since or gone():
                return changes
            while self.stamp(path) == seen:
                await asyncio.sleep(_LOOK_S)
                if time.monotonic() > deadline or gone():
                    return changes

    @staticmethod
    def stamp(path: Path) -> tuple[float, ...]:
        """Changes whenever the archive does; costs microseconds.

        A commit becomes readable a moment after its bytes are in the file. The stamp therefore
        keeps changing for a second, so that a reader in between reads again.
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
        if abs(time.time() - newest) < _SETTLING_S:  # not for a time in the future
            stamp.append(time.monotonic() // _AGAIN_S)
        return tuple(stamp)


def version_of(description: Mapping[str, Any]) -> str:
    """Changes when an archive is created again under its name, so browsers can cache pictures."""
    return hashlib.sha256(str(description.get("created")).encode()).hexdigest()[:8]


def to_json(value: Any) -> bytes:
    """For browsers, which know neither NaN nor Infinity: null stands for them."""
    return as_json(value, compact=True).encode("utf-8", "replace")


@dataclass(frozen=True)
class Encoded:
    """JSON as bytes, plain and compressed with gzip."""

    plain: bytes
    packed: bytes

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.packed)


def _encoded(described: dict[str, Any]) -> tuple[bool, Encoded]:
    """In a thread. Cell by cell, since an encoder lets no other thread work meanwhile."""
    cells = b",".join(map(to_json, described.pop("cells")))
    plain = to_json(described)[:-1] + b',"cells":[' + cells + b"]}"
    return described["status"] == "running", Encoded(plain, gzip.compress(plain, 4))


def check_size(archive: Archive) -> None:
    """Raises ArchiveError for an archive that is too large for a page, before it is read.

    SQLite counts; no other thread waits for that.
    """
    values, axes = (int(one or 0) for one in archive.query(_AXES)[0])
    if values > _MOST_VALUES or axes > _MOST_AXES:
        raise ArchiveError(
            f"{archive.path} has {values:,} values along its axes, {axes / 1e6:.1f} MB; the page"
            f" shows up to {_MOST_VALUES:,} and {_MOST_AXES / 1e6:.0f} MB"
        )
    text = int(archive.query(_TEXT)[0][0] or 0)
    if text > _MOST_TEXT:
        raise ArchiveError(
            f"{archive.path} has {text / 1e6:.0f} MB of settings; the page shows up to"
            f" {_MOST_TEXT / 1e6:.0f} MB"
        )


def _described(archive: Archive) -> dict[str, Any]:
    check_size(archive)
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


# Scaled to the comparable cost if it is known, otherwise as measured.
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
