"""`python -m sdviz.sweep cfg=7,15,20`: denoise every combination of settings side by side."""

from __future__ import annotations

from sdviz.commands.sweep.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
