"""The one writer for terminals: what every command prints goes through it.

Names, prompts and errors may come from a stranger's archive, picture or model. What a terminal
would obey (escape sequences, the end of a bracketed paste, marks that turn text around) is shown as
`\\x1b` and the like.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from sdviz.archive.store import as_json
from sdviz.errors import SdvizError

# Controls, lone surrogates, ends of line but \n, marks of direction and other invisible marks; but
# for the two joiners, without which Persian and Hindi are written wrongly.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_BAR = re.compile(r"\n*(\x1b\[A)*")  # how tqdm moves between two bars


def plain(text: object) -> str:
    """`text` so that a terminal shows all of it and obeys none; ends of line stay."""
    return _UNSAFE.sub(lambda match: _escaped(match[0]), str(text))


def _escaped(sign: str) -> str:
    return "    " if sign == "\t" else sign.encode("unicode_escape").decode("ascii")


def line(text: object) -> str:
    """The same on one line."""
    return plain(text).replace("\n", " ")


def say(*lines: object, error: bool = False) -> None:
    """Prints each on a line of its own, on the error stream on request."""
    for one in lines:
        print(line(one), file=sys.stderr if error else sys.stdout, flush=True)


def say_error(error: Exception) -> None:
    """Prints an error, or each of several, on a line of its own."""
    each = error.each() if isinstance(error, SdvizError) else [error]
    say(*(f"error: {one}" for one in each), error=True)


def say_text(text: str) -> None:
    """Prints text of several lines."""
    print(plain(text))


def say_question(text: str) -> None:
    """Prints a question, whose answer is typed behind it."""
    print(line(text), end="", flush=True)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Prints JSON, in which all that a terminal would obey is escaped as JSON has it."""
    text = as_json(value, indent=indent)
    print(_UNSAFE.sub(lambda match: _json_escaped(match[0]), text))


def _json_escaped(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def bar_stream() -> TextIO:
    """The error stream for a progress bar, which moves the cursor."""
    stream = sys.stderr
    return cast(TextIO, stream.bar()) if isinstance(stream, _Stream) else stream


class _Stream:
    """A text stream that passes on `plain` text. Where it is `lasting`, a reader who has gone, or a
    full disk, is no error: nobody reads on, and that is all.
    """

    def __init__(self, stream: TextIO, *, lasting: bool, moves: bool = False) -> None:
        self._stream = stream
        self._lasting = lasting
        self._moves = moves

    def bar(self) -> _Stream:
        """The same for a progress bar."""
        return _Stream(self._stream, lasting=True, moves=True)

    def write(self, text: str) -> int:
        if not self._moves and not _BAR.fullmatch(text):
            body = text.strip("\r")  # third parties' bars begin or end with it
            begin, _, end = text.partition(body) if body else (text, "", "")
            self._pass_on(begin + plain(body) + end)
        else:
            self._pass_on(text)
        return len(text)

    def _pass_on(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        with self._bearing():
            self._stream.write(text)

    def flush(self) -> None:
        with self._bearing():
            self._stream.flush()

    def writelines(self, lines: Any) -> None:
        for one in lines:
            self.write(one)

    @contextlib.contextmanager
    def _bearing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            if not self._lasting:
                raise
            forget(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def forget(stream: TextIO) -> None:
    """Leads what is still written to `stream`, as Python does at its end, nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def guarded(*, lasting: bool = False) -> Iterator[None]:
    """Sends everything that is printed through the writer, including messages of libraries.

    With `lasting`, the command continues if nobody reads its output. Streams that were closed at
    the start are opened to the null device. Otherwise a file of the archive would get their
    numbers, and a message would be written into it.
    """
    _open_missing()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        cast(TextIO, stream if isinstance(stream, _Stream) else _Stream(stream, lasting=lasting))
        for stream in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in before:
            try:
                stream.flush()
            except (OSError, ValueError):
                forget(stream)


def _open_missing() -> None:
    for number, mode in enumerate("rww"):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
