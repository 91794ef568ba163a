"""The console script `sdviz`: the commands as subcommands, each imported only when it is called."""

from __future__ import annotations

import runpy
import sys

from sdviz.__version__ import __version__
from sdviz.errors import nearest

# name -> (module that runs as a program, what it does)
COMMANDS = {
    "sweep": (
        "sdviz.sweep",
        "run every combination of settings side by side and archive the results",
    ),
    "serve": ("sdviz.serve", "start or stop the Visdom server and show archives on it"),
    "archive": ("sdviz.archive", "list, show, find, compare, verify and export archived sweeps"),
    "live": (
        "sdviz.live",
        "change settings on a page while the model stays loaded",
    ),
}


def usage() -> str:
    lines = [f"  {name:9}{what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        [
            f"sdviz {__version__}: what does this setting do to the picture?",
            "",
            "usage: sdviz COMMAND [key=value ...]       (or: python -m sdviz.COMMAND ...)",
            "",
            *lines,
            "",
            "example: sdviz sweep cfg=7,15,20",
            "help of a command: sdviz COMMAND --help",
        ]
    )


def main() -> None:
    """Runs the command that the first argument names; exit status 2 where there is none of that
    name.
    """
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    name = arguments[0]
    if name == "--version":
        print(__version__)
        return
    if name not in COMMANDS:
        print(f"sdviz {name!r}: no such command; {nearest(name, COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    sys.argv = [f"sdviz {name}", *arguments[1:]]
    runpy.run_module(COMMANDS[name][0], run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
