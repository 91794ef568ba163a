"""Pictures as files, texts and numbers: reading, writing, measuring, laying out. No torch.

`FACE` names the modules that other rooms import; the rest is this room's own.
"""

from __future__ import annotations

FACE = (
    "files",
    "image_input",
    "infotext",
    "inset",
    "measures",
    "pixels",
    "recipes",
    "sheet",
    "texts",
)
