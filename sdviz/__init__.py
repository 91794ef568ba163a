"""sdviz: an experiment dashboard for diffusion models, built on Visdom."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from sdviz.archive.reader import Archive

from sdviz.__version__ import __version__

__all__ = ["__version__", "open_archive", "run_sweep"]


def open_archive(path: str | Path) -> Archive:
    """Opens an archive for reading: its cells as records, images as PIL, frames as arrays.

    Raises ArchiveError where there is none, or one that this sdviz cannot read.
    """
    from sdviz.archive.reader import Archive  # not before it is needed: sdviz imports at once

    return Archive(path)


def run_sweep(*arguments: str, **settings: Any) -> Archive:
    """Runs a sweep in this process, page and all, and opens its archive.

    `run_sweep(cfg=[7, 15, 20], prompt="a castle, sunset")` is
    `python -m sdviz.sweep cfg=7,15,20 'prompt=a castle, sunset'`: each key of the command line, its
    values as a list, or as a text that the command line would take (`seed="1-8"`). Keys with a dot
    are given as on the command line: `run_sweep("visdom.port=6007", steps=[5, 10])`. What is
    archived already is not computed again. Cells that failed say so in the archive. Raises
    SdvizError for what is refused, KeyboardInterrupt where a signal has ended it early.
    """
    from sdviz.commands.sweep import program

    return program.run_sweep(*arguments, **settings)
