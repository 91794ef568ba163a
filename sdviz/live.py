"""`python -m sdviz.live`: a model that stays loaded, and a form on the page that turns its
settings.
"""

from __future__ import annotations

import sys

from sdviz.commands.live.session import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
