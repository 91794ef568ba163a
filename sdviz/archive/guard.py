"""A guard around each archive: any exception that it causes becomes an error that names it.

A damaged or hostile archive is refused alone; the other archives are still processed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError, SdvizError

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """What is raised inside becomes an ArchiveError that names the archive in folder `path`.

    But for sdviz's errors, and a reader of what is printed who has gone.
    """
    try:
        yield
    except (SdvizError, BrokenPipeError):
        raise
    except OSError as error:
        raise ArchiveError(f"{path}: {error}") from error
    except Exception as error:  # the policy of this module
        _LOG.debug("the archive in %s", path, exc_info=error)
        raise ArchiveError(
            f"{path} is damaged: {type(error).__name__}: {error}."
            f" Run: python -m sdviz.archive verify {path}"
        ) from error


@contextlib.contextmanager
def guarded(path: str | Path) -> Iterator[Archive]:
    """The archive, open for reading, with the guard round all that is done with it."""
    with named(Path(path)), Archive(path) as archive:
        yield archive
