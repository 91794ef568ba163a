"""Regular files, opened, written and deleted without following links and without waiting.

An archive, a model or a picture may be a stranger's. A link in the place of a file would let a
command write or delete elsewhere; a FIFO would hold it until somebody writes into it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from typing_extensions import Self

WRITING = ".writing-"  # how the names of half-written files begin

# Not on Windows, where making links takes a right that few users have, and there are no FIFOs.
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_BY_DESCRIPTOR = os.open in os.supports_dir_fd and os.scandir in os.supports_fd


def open_regular(path: str | Path, *, follow: bool = False) -> BinaryIO:
    """Opens a regular file for reading. A link as the last part of `path` is followed on request.

    Raises OSError for a link, a FIFO, a device, a socket or a folder.
    """
    flags = os.O_RDONLY | _NONBLOCK | _BINARY | (0 if follow else _NOFOLLOW)
    if not follow and os.path.islink(path):
        raise _is_a_link(path)
    return os.fdopen(_checked(os.open(path, flags), path), "rb")


def read_regular(path: str | Path, most: int, *, follow: bool = False) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises OSError, as `open_regular`."""
    with open_regular(path, follow=follow) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))
    return data


def is_regular(path: str | Path) -> bool:
    """Whether there is a regular file of that name; a link is none."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def kind_of(mode: int) -> str:
    """What a file that is not a regular one is, in words."""
    known = {
        stat.S_IFLNK: "a link, which is not followed", stat.S_IFIFO: "a FIFO",
        stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
        stat.S_IFDIR: "a folder",
    }  # fmt: skip
    return known.get(stat.S_IFMT(mode), "not a regular file")


class Folder:
    """A folder held open. Names in it are used relative to it, and none of them is followed."""

    def __init__(self, path: str | Path, *, inside: Folder | None = None) -> None:
        """`path` is the name of a folder `inside` another one where that is given.

        Raises OSError where it is missing, a link, or no folder.
        """
        self.path: Path = Path(path) if inside is None else inside.path / path
        self._descriptor: int | None = None
        if not _BY_DESCRIPTOR:
            mode = os.lstat(self.path).st_mode
            if not stat.S_ISDIR(mode):
                raise NotADirectoryError(errno.ENOTDIR, kind_of(mode), str(self.path))
            return
        flags = os.O_RDONLY | _DIRECTORY | _NOFOLLOW
        at = None if inside is None else inside._descriptor
        try:
            self._descriptor = os.open(path, flags, dir_fd=at)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and self.path.is_symlink():
                raise _is_a_link(self.path) from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _name(self, name: str) -> str | Path:
        """What a system call takes for `name`, beside the descriptor."""
        if not name or name in (".", "..") or "/" in name or "\0" in name or os.sep in name:
            raise ValueError(f"{name!r} is not the name of a file")
        return name if _BY_DESCRIPTOR else self.path / name

    def names(self) -> list[str]:
        """The names of the regular files in it, sorted."""
        with os.scandir(self.path if self._descriptor is None else self._descriptor) as entries:
            return sorted(e.name for e in entries if e.is_file(follow_symlinks=False))

    def size(self, name: str) -> int:
        """Bytes of the file `name`."""
        return self._stat(name).st_size

    def mode(self, name: str) -> int:
        """The mode of `name`, of whatever kind it is; 0 where nothing has that name."""
        try:
            return self._stat(name).st_mode
        except FileNotFoundError:
            return 0

    def _stat(self, name: str) -> os.stat_result:
        return os.stat(self._name(name), dir_fd=self._descriptor, follow_symlinks=False)

    def open(self, name: str) -> BinaryIO:
        """Opens the regular file `name` for reading."""
        return os.fdopen(self.regular_descriptor(name, os.O_RDONLY), "rb")

    def regular_descriptor(self, name: str, flags: int) -> int:
        """A descriptor of the regular file `name`, which the caller closes."""
        return _checked(self._open(name, flags), self.path / name)

    def _open(self, name: str, flags: int) -> int:
        if not _NOFOLLOW and os.path.islink(self.path / name):
            raise _is_a_link(self.path / name)
        flags |= _NONBLOCK | _NOFOLLOW | _BINARY
        try:
            return os.open(self._name(name), flags, 0o666, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _is_a_link(self.path / name) from None
            raise

    def write(self, name: str, data: bytes, *, wait: bool = True) -> None:
        """Writes a file so that it is there whole or not at all.

        Even when the power fails, unless `wait` is false. Its mode is that of the user's umask.
        """
        aside = f"{WRITING}{secrets.token_hex(6)}"
        with os.fdopen(self._open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            try:
                file.write(data)
                file.flush()
                if wait:
                    os.fsync(file.fileno())
            except BaseException:
                with contextlib.suppress(OSError):
                    self.unlink(aside)
                raise
        try:
            self.rename(aside, name)
        except BaseException:
            with contextlib.suppress(OSError):
                self.unlink(aside)
            raise

    def rename(self, name: str, new: str) -> None:
        """Gives the file `name` another name here; what had that name is replaced."""
        at = {"src_dir_fd": self._descriptor, "dst_dir_fd": self._descriptor}
        os.replace(self._name(name), self._name(new), **at)

    def unlink(self, name: str) -> None:
        """Deletes the file `name`; a link itself, never what it leads to."""
        os.unlink(self._name(name), dir_fd=self._descriptor)

    def make(self, name: str) -> None:
        """Makes the folder `name` where there is none."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._name(name), dir_fd=self._descriptor)

    def rmdir(self, name: str) -> None:
        """Deletes the empty folder `name`."""
        os.rmdir(self._name(name), dir_fd=self._descriptor)


@contextlib.contextmanager
def folder_below(root: Path, *names: str, make: bool = False) -> Iterator[Folder]:
    """The folder root/names..., where neither `root` nor any of `names` is a link.

    Raises OSError. With `make`, the folders below `root` are made where they are missing.
    """
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(Folder(root))
        for name in names:
            if make:
                folder.make(name)
            folder = opened.enter_context(Folder(name, inside=folder))
        yield folder


def write_below(
    root: Path, path: Path, data: bytes, *, make: bool = False, wait: bool = True
) -> None:
    """Writes the file `path`, which lies below the folder `root`, by `Folder.write`."""
    *names, name = path.relative_to(root).parts
    with folder_below(root, *names, make=make) as folder:
        folder.write(name, data, wait=wait)


def delete_below(root: Path, path: Path) -> None:
    """Deletes the file `path`, which lies below the folder `root`. Raises OSError for links."""
    *names, name = path.relative_to(root).parts
    with folder_below(root, *names) as folder:
        folder.unlink(name)


def open_below(root: Path, path: Path) -> BinaryIO:
    """Opens the regular file `path`, which lies below the folder `root`, for reading."""
    *names, name = path.relative_to(root).parts
    with folder_below(root, *names) as folder:
        return folder.open(name)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path with the ending of `path` to write to. The file takes its place at the end; where that
    fails, or the process is killed, what was there before stays.

    A link in the place of `path` is replaced, not followed. A FIFO or a device, which the user has
    named, is written directly.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
            yield path
            return
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    aside = path.with_name(f"{WRITING}{path.name}")
    with contextlib.suppress(FileNotFoundError):  # of a process that was killed
        os.unlink(aside)
    try:
        yield aside
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a new folder. Raises FileExistsError where `path` is there and not empty."""
    if os.path.lexists(path):
        if path.is_symlink() or not path.is_dir() or any(path.iterdir()):
            raise FileExistsError(errno.EEXIST, "already exists; give a new folder", str(path))
        path.rmdir()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{WRITING}{path.name}")
    if os.path.lexists(aside):  # of a process that was killed
        shutil.rmtree(aside)  # raises OSError for a link
    aside.mkdir()
    try:
        yield aside
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _checked(descriptor: int, path: str | Path) -> int:
    """`descriptor` if it is a regular file's; else it is closed."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, kind_of(mode), str(path))
    return descriptor


def _is_a_link(path: str | Path) -> OSError:
    return OSError(errno.ELOOP, kind_of(stat.S_IFLNK), str(path))
