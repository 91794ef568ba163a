"""From what was typed to a checked plan, before anything expensive starts.

`FACE` names the modules that other rooms import; the rest is this room's own.
"""

from __future__ import annotations

FACE = (
    "compose",
    "foreign_config",
    "from_picture",
    "model_specs",
    "request",
    "setting_keys",
)
