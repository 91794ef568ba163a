"""One writer per archive. The system drops the lock when its process dies, however it dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from sdviz.errors import ArchiveError
from sdviz.regular_files import folder_below, open_regular, read_regular

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int, *, shared: bool) -> None:
        # Locks a byte far behind the text, so that others may read who holds the lock.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try(descriptor: int, *, shared: bool) -> None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)


class ArchiveLock:
    """Held from `acquire` to `release`, or to the death of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, wait: float = 1.5) -> None:
        """Takes the lock; raises ArchiveError naming the process that has it.

        Waits a moment, because a reader that asks `is_held` has it for some microseconds, or
        longer where the machine is busy with other things.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = self._open()
        except OSError as error:
            raise ArchiveError(f"{self._path} cannot be locked: {error}; delete it") from error
        deadline = time.monotonic() + wait
        while True:
            try:
                _try(descriptor, shared=False)
                break
            except OSError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise ArchiveError(self._taken()) from None
                time.sleep(0.02)
        if os.fstat(descriptor).st_nlink == 1:  # else it is somebody's other file too
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def _open(self) -> int:
        """The lock file's descriptor; it is made where it is missing. OSError for a link."""
        with folder_below(self._path.parent) as folder:
            return folder.regular_descriptor(self._path.name, os.O_RDWR | os.O_CREAT)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _taken(self) -> str:
        pid = holder(self._path)
        who = f"process {pid}" if pid else "another process"
        folder = self._path.parent
        return f"{folder} is being written by {who}; wait for it to end, or give another name="


def is_held(path: Path) -> bool:
    """Whether some process, this one included, is writing the archive whose lock file is `path`."""
    try:
        file = open_regular(path)
    except OSError:
        return False
    with file:
        try:
            _try(file.fileno(), shared=True)
        except OSError:
            return True
    return False


def holder(path: Path) -> int | None:
    """The process number written in the lock file; None where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(read_regular(path, 100).split()[0])
    return None
