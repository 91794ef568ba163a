"""The command `python -m sdviz.archive COMMAND`: picks the file of the command and runs it."""

from __future__ import annotations

import argparse
import importlib
import sqlite3
import sys
from collections.abc import Sequence

from sdviz.commands import terminal
from sdviz.commands.archive import COMMANDS
from sdviz.errors import SdvizError

# The console script calls itself "sdviz archive".
PROGRAM = sys.argv[0] if sys.argv[0].startswith("sdviz ") else "python -m sdviz.archive"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status. Errors are printed without a traceback."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    with terminal.guarded():
        return _status(argv)


def _status(argv: list[str]) -> int:
    try:
        status = _run(argv) if argv and argv[0] in COMMANDS else _overview(argv)
        sys.stdout.flush()
        return status
    except SdvizError as error:
        terminal.say_error(error)
        return error.exit_status
    except BrokenPipeError:  # `| head` has seen enough
        return 0
    except (OSError, sqlite3.Error) as error:  # a full disk, a folder that may not be written
        terminal.say_error(error)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(argv: list[str]) -> int:
    command = importlib.import_module(f"sdviz.commands.archive.{argv[0]}")
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {argv[0]}",
        description=(command.__doc__ or "").strip(),
        epilog="example:\n" + "\n".join(f"  {line}" for line in command.EXAMPLE.split("\n")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.arguments(parser)
    status: int = command.run(parser.parse_args(argv[1:]))
    return status


def _overview(argv: list[str]) -> int:
    lines = [f"usage: {PROGRAM} COMMAND [--help] ...", ""]
    lines += [f"  {name:<8} {text}" for name, text in COMMANDS.items()]
    if argv and argv[0] not in ("-h", "--help"):
        terminal.say(f"error: no command {argv[0]!r}", "", *lines, error=True)
        return 2
    terminal.say(*lines)
    return 0
