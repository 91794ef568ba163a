"""All that can be read of an archive, whatever has become of it."""

from __future__ import annotations

from pathlib import Path

from sdviz.archive.reader import Archive
from sdviz.commands.archive._listing import show_text, summaries
from sdviz.errors import ArchiveError
from sdviz.web import describe


def read_everything(root: Path) -> int:
    """Reads all that can be read; returns how many pictures. Only ArchiveError may come out."""
    pictures = 0
    summaries(root.parent)
    try:
        archive = Archive(root)
    except ArchiveError:
        return 0
    with archive:
        for question in (
            lambda: archive.as_json(),
            lambda: describe.description(archive),
            lambda: list(archive.events()),
            lambda: show_text(archive, most=9),
        ):
            try:
                question()
            except ArchiveError:
                continue
        for i in range(4):
            for step in (0, 1, 2, 3):
                try:
                    _ = archive.frame(i, step) if step else archive.image(i)
                    pictures += 1
                except ArchiveError:
                    continue
    return pictures
