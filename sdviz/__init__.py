"""sdviz: an experiment dashboard for diffusion models, built on Visdom."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sdviz.archive.reader import Archive

__version__ = "0.1.0"
__all__ = ["__version__", "open_archive"]


def open_archive(path: str | Path) -> Archive:
    """Opens an archive for reading: its cells as records, images as PIL, frames as arrays.

    Raises ArchiveError where there is none, or one that this sdviz cannot read.
    """
    from sdviz.archive.reader import Archive  # not before it is needed: sdviz imports at once

    return Archive(path)
