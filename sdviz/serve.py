"""`python -m sdviz.serve [visdom.port=6006] [outputs/name ...]`: the Visdom server in the
foreground, or its end.
"""

from __future__ import annotations

import sys

from sdviz.commands.serve import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
