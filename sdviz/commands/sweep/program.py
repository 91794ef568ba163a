"""A sweep from inside a program or a notebook."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sdviz.archive.reader import Archive
from sdviz.commands.sweep.command import check_port
from sdviz.errors import ConfigError, nearest
from sdviz.plan.settings import PLURALS, SETTINGS
from sdviz.request.compose import compose, plan


def run_sweep(*arguments: str, **settings: Any) -> Archive:
    """As sdviz.run_sweep, which see."""
    from sdviz.commands.sweep.conduct import conduct

    given, preset = compose(arguments)
    for name, value in settings.items():
        key = "models" if name == "model" else name
        if key not in given:
            raise ConfigError(
                f"{name}: unknown key; {nearest(name, [*SETTINGS, *given])}", key=name
            )
        text = name in PLURALS.values() and isinstance(value, str)
        given[key] = [value] if text else value  # a text is itself, whatever signs it has
        given |= {plural: None for plural, one in PLURALS.items() if one == name}
    typed = [*(given.get("order") or []), *(name for name in settings if name in SETTINGS)]
    given["order"] = list(dict.fromkeys(typed))
    request = plan(given, preset=preset, also=check_port)
    for warning in request.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if conduct(request) > 1:
        raise KeyboardInterrupt
    return Archive(Path(request.config.outputs) / request.config.name)
