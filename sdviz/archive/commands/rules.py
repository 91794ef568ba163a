"""Rules as the commands take them: `sampler=heun cfg>10 status=done total_s<2`."""

from __future__ import annotations

from typing import Any

from sdviz.archive.records import SECONDS
from sdviz.config import nearest
from sdviz.errors import ConfigError
from sdviz.settings import SETTINGS, one_value
from sdviz.where import Rule, parse_rule

_TEXTS = ("status", "key", "name", "source")
_NUMBERS = (*SECONDS, "batch")


def read_rule(text: str) -> Rule:
    """A rule over settings, times, `status`, `key`, `name` and `source`. Raises ConfigError."""
    return parse_rule(text, _value)


def _value(key: str, text: str) -> Any:
    if key in _TEXTS:
        return text
    if key in _NUMBERS:
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{key}={text}: must be a number of seconds") from None
    if key not in SETTINGS:
        raise ConfigError(f"{key}: no such key; {nearest(key, [*SETTINGS, *_TEXTS, *_NUMBERS])}")
    return one_value(key, text)
