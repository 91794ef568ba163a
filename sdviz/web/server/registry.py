"""The archives that the server shows, and their names."""

from __future__ import annotations

import logging
from pathlib import Path

from sdviz.archive.paths import DATABASE
from sdviz.web.client.state import _NAME_LIMIT, BoardState, page_name

_LOG = logging.getLogger(__name__)


class Registry:
    """{name on the page: archive}, kept in the board's state folder."""

    def __init__(self, state: BoardState) -> None:
        self._state = state
        self._paths = {name: Path(path) for name, path in state.sweeps().items()}
        self._names = {path: name for name, path in self._paths.items()}
        self._pages = set(self._paths)  # those with a page of Visdom; others are only listed

    def add(self, path: Path, name: str, *, page: bool = True) -> str:
        """The name under which the archive `path` is shown, always the same for one folder."""
        path = path.resolve()
        registered = self._names.get(path)
        if registered is None:
            name = self._free(name)
            self._names.pop(self._paths.get(name, path), None)  # whose archive is gone
            self._names[path], self._paths[name] = name, path
        else:
            name = registered
        if page:
            self._pages.add(name)
            try:
                self._state.save_sweeps({one: str(self._paths[one]) for one in self._pages})
            except OSError as error:  # a full disk: the page is there, until the next start
                _LOG.warning("%s", error)
        return name

    def _free(self, name: str) -> str:
        free = wanted = page_name(name)
        number = 1
        while free in self._paths and (self._paths[free] / DATABASE).exists():
            number += 1
            free = f"{wanted[: _NAME_LIMIT - 5]}-{number}"
        return free

    def path(self, name: str) -> Path | None:
        return self._paths.get(name)

    def archives(self) -> dict[str, Path]:
        """All archives in the folders of registered ones, newest first."""
        folders = {path.parent for path in self._paths.values()}
        files = [file for folder in folders for file in folder.glob(f"*/{DATABASE}")]
        files.sort(key=_modified, reverse=True)
        return {self.add(file.parent, file.parent.name, page=False): file.parent for file in files}

    def pages(self, most: int) -> list[str]:
        """The names of at most `most` archives with a page, last written first."""
        there = [name for name in self._pages if (self._paths[name] / DATABASE).exists()]
        there.sort(key=lambda name: _modified(self._paths[name] / DATABASE), reverse=True)
        return there[:most]


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
