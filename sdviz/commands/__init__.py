"""The commands of sdviz, a room each; they compose everything else."""

from __future__ import annotations

# The modules that other rooms import; the rest is this room's own.
FACE = (
    "archive.command",
    "live.session",
    "serve",
    "sweep.command",
    "sweep.program",
)
