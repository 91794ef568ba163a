"""`python -m sdviz.archive COMMAND`: the door to sdviz.commands.archive."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from sdviz.commands.archive.command import main  # archives know nothing of the commands

    sys.exit(main())
