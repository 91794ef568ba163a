"""A sweep from inside a program or a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdviz.archive.reader import Archive
from sdviz.commands.sweep.command import check_port
from sdviz.errors import ConfigError, nearest
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import entries, setting_of
from sdviz.request.compose import compose, plan


def run_sweep(*arguments: str, **settings: Any) -> Archive:
    """As sdviz.run_sweep, which see."""
    from sdviz.commands.sweep.conduct import conduct

    raw_config, preset = compose(arguments)
    for name, value in settings.items():
        if name in SETTINGS and SETTINGS[name].kind == "text" and isinstance(value, str):
            value = [value]  # a text is itself, whatever signs it has
        held = entries(name, value) if setting_of(name) else {name: value}
        if not held.keys() <= raw_config.keys():
            raise ConfigError(
                f"{name}: unknown key; {nearest(name, [*SETTINGS, *raw_config])}", key=name
            )
        raw_config |= held
    typed = [*(raw_config.get("order") or []), *(name for name in settings if name in SETTINGS)]
    raw_config["order"] = list(dict.fromkeys(typed))
    request = plan(raw_config, preset=preset, also=check_port)
    if conduct(request) > 1:
        raise KeyboardInterrupt
    return Archive(Path(request.config.outputs) / request.config.name)
