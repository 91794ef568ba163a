"""The archive: every picture, frame and timing of a sweep in one folder. No torch, no Visdom."""

from __future__ import annotations

# The modules that other rooms import; the rest is this room's own.
FACE = (
    "export.compare",
    "export.film",
    "export.grid",
    "export.pages",
    "export.tables",
    "figures",
    "formats",
    "guard",
    "machine",
    "paths",
    "reader",
    "records",
    "replay",
    "store",
    "table",
    "upkeep.merge",
    "upkeep.migrate",
    "upkeep.removal",
    "upkeep.verify",
    "writing.reuse",
    "writing.stage",
    "writing.writer",
)
