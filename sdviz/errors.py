"""Everything that sdviz raises on purpose.

    SdvizError
    ├── ConfigError        the user asked for something that cannot be; exit status 2
    │   └── ConfigErrors   several of them, reported together
    ├── ModelError         a model cannot be found, read or used; exit status 2
    ├── ArchiveError       an archive cannot be read or written; exit status 1
    ├── BoardError         Visdom cannot be started or reached; exit status 2 from `serve`
    └── CellError          one cell failed; the sweep goes on

A message names the key, the value and the remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any


class SdvizError(Exception):
    """Base of every error that sdviz raises on purpose; printed without a traceback.

    `key` is the key of the command line that the error is about, "" where it is about none.
    """

    exit_status = 1

    def __init__(self, text: str = "", *, key: str = "") -> None:
        super().__init__(text)
        self.key = key

    def each(self) -> list[SdvizError]:
        """The errors that this one stands for: itself, or several."""
        return [self]


class ConfigError(SdvizError):
    """The command line or the configuration asks for something that cannot be."""

    exit_status = 2


class ConfigErrors(ConfigError):
    """Several errors of the configuration, so that one run reports all of them.

    `sound` has the values beside them that are in order, where it is values that are wrong.
    """

    def __init__(self, errors: Sequence[SdvizError], sound: Sequence[Any] = ()) -> None:
        self.errors = list({str(error): error for error in errors}.values())
        self.sound = list(sound)
        super().__init__("\n".join(str(error) for error in self.errors))

    def each(self) -> list[SdvizError]:
        return self.errors


class ModelError(SdvizError):
    """A model cannot be found, read or used."""

    exit_status = 2


class ArchiveError(SdvizError):
    """An archive cannot be read or written."""


class BoardError(SdvizError):
    """Visdom cannot be started or reached."""

    exit_status = 2


class CellError(SdvizError):
    """One cell cannot be computed; its sweep goes on."""


def reason_of(error: BaseException) -> str:
    """One line or more for the user: what third parties raise goes with the name of its type."""
    return str(error) if isinstance(error, SdvizError) else f"{type(error).__name__}: {error}"


def gathered(
    parts: Sequence[Callable[[], list[Any]]], found: Sequence[SdvizError] = ()
) -> list[Any]:
    """What all of `parts` give, one behind the other. Raises ConfigErrors with what is wrong in any
    of them, behind what was `found` before, and with what the others gave.
    """
    errors, sound = list(found), []
    for part in parts:
        try:
            sound.extend(part())
        except ConfigErrors as several:
            errors.extend(several.errors)
            sound.extend(several.sound)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ConfigErrors(errors, sound)
    return sound


def nearest(word: str, known: Iterable[str]) -> str:
    """What to say about a misspelt word: the names it is near to, or else all that are known."""
    known = list(known)
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(str(word).casefold(), folded, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(folded[name] for name in close) + "?"
    return "known: " + ", ".join(known)
