"""Where the parts of an archive are; the only place that knows its file names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sdviz.errors import ArchiveError
from sdviz.regular_files import is_regular, write_below

_NOT_OF_A_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_DEVICES = r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]"
DATABASE = "sweep.db"
_NAME_LIMIT = 120  # characters; file systems stop at 255 bytes, and a Chinese letter takes three


@dataclass(frozen=True)
class ArchivePaths:
    """The files of one archive, below `root` = outputs/<name>."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / DATABASE

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def grid(self) -> Path:
        return self.root / "grid.png"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def checksums(self) -> Path:
        return self.root / "checksums"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    def image(self, name: str) -> Path:
        """The file of an image by the name in its cell's row ("images/0000-cfg=7.png").

        The name may come from a stranger: anything but a plain file of images/ is refused.
        """
        parts = name.split("/")
        plain = len(parts) == 2 and parts[0] == "images" and parts[1] not in ("", ".", "..")
        if not plain or "\\" in name or "\0" in name or ":" in name:
            raise ArchiveError(f"image={name!r} of {self.root} is not a file of its images/ folder")
        path = self.images / parts[1]
        if path.is_symlink() or self.images.is_symlink():
            raise ArchiveError(f"image={name!r} of {self.root} is a link, which is not followed")
        return path

    def write(self, path: Path, data: bytes) -> None:
        """Writes a file of the archive whole or not at all. Raises OSError, also for a link among
        the folders that it lies in.
        """
        write_below(self.root, path, data)


def is_reserved(name: str) -> bool:
    """Whether Windows has a device of that name, whatever ending it has."""
    return re.fullmatch(_DEVICES, name.partition(".")[0].rstrip(" "), re.IGNORECASE) is not None


def archive_paths(outputs: Path, name: str) -> ArchivePaths:
    """The paths of outputs/<name>; raises ArchiveError where `name` is no plain folder name."""
    if not name or name.startswith(".") or name[-1] in ". " or _NOT_OF_A_NAME.search(name):
        raise ArchiveError(
            f'name={name!r} is not a folder name: leave out / \\ : * ? " < > | and outer dots',
            key="name",
        )
    if is_reserved(name):
        raise ArchiveError(f"name={name}: a name that Windows reserves; for example name={name}-1")
    if len(name) > _NAME_LIMIT or len(name.encode("utf-8", "replace")) > 240:
        raise ArchiveError(
            f"name= has {len(name)} characters, more than {_NAME_LIMIT}; shorten it", key="name"
        )
    return ArchivePaths(Path(outputs) / name)


def readable_name(index: int, total: int, labels: Mapping[str, str]) -> str:
    """A file name that says what a picture is: "0003-cfg=7-sampler=Euler a.png".

    `labels` are the cell's values along the axes; long ones (prompts) are cut.
    """
    width = max(4, len(str(max(total - 1, 0))))
    parts = [f"{key}={_plain(value)}" for key, value in labels.items()]
    stem = "-".join([f"{index:0{width}d}", *parts])
    while len(stem.encode()) > 150:
        stem = stem[:-1]
    return stem.rstrip(" .") + ".png"


def _plain(text: str) -> str:
    text = re.sub(r'[/\\:*?"<>|%#\x00-\x1f\x7f\ud800-\udfff]+', "_", text)
    return re.sub(r"\s+", " ", text).strip()[:40]


def archive_folders(outputs: Path) -> list[Path]:
    """Folders with a sweep.db directly below `outputs`, or `outputs` itself; newest first."""
    if is_regular(outputs / DATABASE):
        return [outputs]
    times = {}
    for database in outputs.glob("*/sweep.db"):
        with contextlib.suppress(OSError):  # for example, it was just deleted
            times[database.parent] = database.lstat().st_mtime
    return sorted(times, key=lambda folder: -times[folder])
