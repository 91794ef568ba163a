"""Keeps a page equal to its archive: live, after a restart, and for archives of the past."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from sdviz.archive.figures import figures
from sdviz.archive.paths import DATABASE
from sdviz.errors import ArchiveError
from sdviz.web.server.feed import Feed, version_of
from sdviz.web.server.readers import NoAnswer
from sdviz.web.visdom import panes, plots
from sdviz.web.visdom.windows import Windows

_LIVE_S = 0.2  # between two updates of a page: more than five a second do not reach the eye
_QUIET_S = 1.0  # between two looks at an archive that nobody writes
_PLOTS_S = 1.0  # between two updates of the plots; longer for large sweeps
_FAILED_S = 30.0  # until an archive that did not answer is asked again
_FAMILIES = 12  # lines in the plot of seconds per step

_PASSING = ("fs", "img", "t", "e", "q")  # fields of a cell that a change may take away

_LOG = logging.getLogger(__name__)


class Follower:
    """One archive's page. `run` never ends; cancel its task."""

    def __init__(
        self, feed: Feed, windows: Windows, path: Path, url: str, max_windows: int
    ) -> None:
        self._feed, self._windows, self._path = feed, windows, path
        self._url = url  # of the sweep below this server, with a slash at its end
        self._max_windows = max_windows
        self._description: dict[str, Any] = {}
        self._changed: set[int] = set()  # cells whose windows are behind
        self._plots_due = 0.0
        self._drawn: dict[str, str] = {}  # figures that the page has, with their versions

    async def run(self) -> None:
        seen: object = None
        while True:
            stamp = self._feed.stamp(self._path)
            pause = 0.0
            try:
                if stamp != seen:
                    seen = stamp  # also where it fails: what has not changed fails again
                    await self._update()
                elif self._plots_due and time.monotonic() > self._plots_due:
                    await self._plots()
                await self._figures()
            except NoAnswer as error:
                seen, pause = None, _FAILED_S
                self._fail(error)
            except ArchiveError as error:  # being made, moved away, or damaged
                self._fail(error)
            except Exception as error:
                # A page that fails must take neither the server nor the other pages with it.
                _LOG.exception(
                    "the page of %s failed; it is built again when it changes", self._path
                )
                self._fail(error)
            await asyncio.sleep(pause or (_LIVE_S if self._is_live else _QUIET_S))

    def _fail(self, error: Exception) -> None:
        """The page says why it is behind."""
        self._description = {}
        self._plots_due = 0.0
        _LOG.info("%s", error)
        if (self._path / DATABASE).exists():  # else it is being made
            self._windows.put(panes.damaged(self._path.name, str(error)))

    @property
    def _is_live(self) -> bool:
        return self._description.get("status") == "running"

    async def _update(self) -> None:
        changes = None
        if self._description:
            changes = await self._feed.changes_now(self._path, self._description["seq"])
        if changes is None or changes.get("reset"):
            self._description = await self._feed.described(self._path)
            self._changed = {cell["i"] for cell in self._description["cells"]}
            self._drawn = {}
            self._forget_older()
            self._windows.put(panes.head(self._description, self._max_windows, self._url))
            self._windows.put(panes.sheet(self._url + "description.json"))
        else:
            self._apply(changes)
            self._windows.put(panes.head(self._description, self._max_windows, self._url))
        if time.monotonic() > self._plots_due:
            await self._plots()
        await self._figures()  # before the many windows of cells
        await self._cells()

    def _forget_older(self) -> None:
        """Close the windows of an archive that was made anew under the same name."""
        version = version_of(self._description)
        for win in self._windows.names():
            if win.startswith(("cell-", "figure-")) and not win.endswith(version):
                self._windows.close(win)

    def _apply(self, changes: dict[str, Any]) -> None:
        cells = {cell["i"]: cell for cell in self._description["cells"]}
        for change in changes.get("cells", ()):
            if change["i"] in cells:
                for name in _PASSING:
                    cells[change["i"]].pop(name, None)
                cells[change["i"]].update(change)
                self._changed.add(change["i"])
        self._description["schedules"] += changes.get("schedules", ())
        for name in ("seq", "status", "progress"):
            self._description[name] = changes.get(name, self._description[name])

    async def _cells(self) -> None:
        """Windows of the first cells that have a picture; a thousand would choke the page."""
        version = version_of(self._description)
        for position, cell in enumerate(self._description["cells"][: self._max_windows]):
            if cell["i"] not in self._changed:
                continue
            frames = self._frames(cell)
            if frames:
                self._windows.put(panes.cell(self._description, cell, frames, version))
            if position % 20 == 19:
                await asyncio.sleep(0)  # others want to be served too
        self._changed.clear()

    def _frames(self, cell: dict[str, Any]) -> list[tuple[str, str]]:
        steps = cell.get("fs") or range(1, cell.get("f", 0) + 1)
        total = {**self._description["fixed"], **cell.get("r", {})}.get("steps", "?")
        sigmas = self._sigmas(cell)
        version = version_of(self._description)
        frames = []
        for step in steps:
            noise = f", sigma {sigmas[step - 1]:.3g}" if step <= len(sigmas) else ""
            address = f"{self._url}frame/{cell['i']}/{step}.webp?v={version}"
            frames.append((address, f"step {step} of {total}{noise}"))
        if cell.get("img"):
            # A large picture comes small: so is its window, and the sheet has it in full.
            large = panes.is_large(self._description, cell)
            final = f"thumb/{cell['i']}.webp" if large else f"image/{cell['i']}.png"
            frames.append((f"{self._url}{final}?v={version}", "final image"))
        return frames

    def _sigmas(self, cell: dict[str, Any]) -> list[float]:
        schedules = self._description["schedules"]
        at = cell.get("q", len(schedules))
        return schedules[at].get("sigmas", []) if at < len(schedules) else []

    async def _figures(self) -> None:
        """What studies have drawn; a new figure replaces the old one of its name."""
        for name, version in figures(self._path).items():
            if self._description and self._drawn.get(name) != version:
                self._drawn[name] = version
                try:
                    size = await self._feed.figure_size(self._path, name)
                except ArchiveError as error:  # no picture; the next one of its name may be one
                    _LOG.info("%s", error)
                    continue
                address = f"{self._url}figure/{name}.png?v={version}"
                made = panes.figure(name, address, size, version_of(self._description))
                self._windows.put(made)

    async def _plots(self) -> None:
        """Times, for those who compare; rarely for large sweeps, whose plots are slow to draw."""
        self._windows.put(plots.times(self._description))
        per_step = await self._feed.seconds_per_step(self._path)
        most = dict(list(per_step.items())[:_FAMILIES])
        self._windows.put(plots.speed(most))
        pause = _PLOTS_S * (1 + len(self._description["cells"]) / 50)
        self._plots_due = time.monotonic() + pause if self._is_live else 0.0
