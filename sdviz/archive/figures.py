"""Figures that studies keep with an archive: the PNG files of its folder figures/."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sdviz.archive.paths import ArchivePaths
from sdviz.errors import ArchiveError
from sdviz.regular_files import folder_below

NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}"  # of a figure, without its ending; fit for an address
_LARGEST = 32 << 20  # bytes
_MOST = 24  # figures of one archive that are looked at
_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"  # how every PNG begins; its size follows


def figures(root: Path) -> dict[str, str]:
    """The figures of the archive in folder `root`, sorted: {name: version}.

    The version is another as soon as the file is. Costs microseconds: nothing is opened.
    """
    folder = ArchivePaths(root).figures
    if folder.is_symlink():
        return {}
    try:
        with os.scandir(folder) as entries:
            files = [
                (entry.name[:-4], entry.stat(follow_symlinks=False))
                for entry in entries
                if re.fullmatch(NAME + r"\.png", entry.name)
                and entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return {}
    return {
        name: f"{facts.st_mtime_ns:x}-{facts.st_size:x}" for name, facts in sorted(files)[:_MOST]
    }


def figure_bytes(root: Path, name: str) -> bytes:
    """The figure's file; raises ArchiveError where there is none, or something that is no PNG."""
    if name not in figures(root):
        raise ArchiveError(f"{root} has no figure {name}")
    try:
        with folder_below(root, "figures") as folder, folder.open(f"{name}.png") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ArchiveError(f"figure {name} of {root} cannot be read: {error}") from error
    if len(data) > _LARGEST or not data.startswith(_HEAD):
        raise ArchiveError(f"figure {name} of {root} is not a PNG of at most 32 MB")
    return data


def figure_size(root: Path, name: str) -> tuple[int, int]:
    """Width and height in pixels, as the file claims. Raises ArchiveError too."""
    head = figure_bytes(root, name)[len(_HEAD) :]
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (0, 4))
    if not (width and height):
        raise ArchiveError(f"figure {name} of {root} has no size")
    return width, height
