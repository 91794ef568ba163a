"""What a sweep will compute, known before a model is loaded: settings, recipes, axes, cells, keys.

No torch. `FACE` names the modules that other rooms import; the rest is this room's own.
"""

from __future__ import annotations

FACE = (
    "cells",
    "config",
    "grammar",
    "labels",
    "loras",
    "passes",
    "planning",
    "prompts",
    "reference",
    "rules",
    "samplers",
    "setting",
    "settings",
    "values",
)
