"""Files of a model that may be a stranger's: whatever reading them raises is a refusal of them."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError, SdvizError
from sdviz.regular_files import kind_of, read_regular

_LARGEST = 64 << 20  # bytes of a configuration; a tokenizer of a large vocabulary has some 20 MB
_MOST_FILES = 20_000  # of a model's folder that are looked at


@contextlib.contextmanager
def refusing(what: object, key: str = "") -> Iterator[None]:
    """Whatever is raised inside becomes a ModelError that begins with `what`, such as the file.

    But for sdviz's errors, and those that end the program. A panic of the tokenizers' Rust is no
    Exception.
    """
    try:
        yield
    except (SdvizError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{what} cannot be used: {type(error).__name__}: {reason}; download it again", key=key
        ) from error


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`; ModelError, caused by FileNotFoundError where there is none."""
    try:
        content = json.loads(read_regular(file, _LARGEST, follow=True).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file}: not a JSON object; download the model again")
    return content


def check_regular(place: Path, key: str) -> None:
    """ModelError where `place`, or anything below that folder, is neither a folder nor a regular
    file. A reader would wait for a FIFO, and read a device for ever.
    """
    looked_at = 0
    for file in _below(place) if place.is_dir() else [place]:
        try:
            mode = file.stat().st_mode  # links are followed: the hub's cache has them
        except OSError:
            continue  # who reads it says what is wrong
        if not stat.S_ISREG(mode):
            raise ModelError(
                f"{key}: {file} is {kind_of(mode)}; remove it", key=key.partition("=")[0]
            )
        looked_at += 1
        if looked_at > _MOST_FILES:
            return


def _below(folder: Path) -> Iterator[Path]:
    for inside, _, names in os.walk(folder):
        yield from (Path(inside, name) for name in names)
