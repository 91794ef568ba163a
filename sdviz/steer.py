"""From the fields of the control pane to a sweep: the same reading and checking as the command
line's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdviz.archive.labels import value_label
from sdviz.compose import plan
from sdviz.errors import ConfigErrors, SdvizError
from sdviz.paths import conf_dir
from sdviz.plan import DEFAULTS
from sdviz.settings import PLURALS, SETTINGS

if TYPE_CHECKING:
    from sdviz.request import Request

# What the form shows; other settings hold as the command line gave them.
FIELDS = ("prompt", "negative", "cfg", "sampler", "steps", "seed", "width", "height", "model")
_TEXT = ("prompt", "negative")


def prepare(given: Mapping[str, Any], settings: Mapping[str, str]) -> Request:
    """The sweep of a filled form: `given` is the composed configuration, `settings` the fields'
    text.

    An empty field takes the model's default. Raises ConfigErrors; `field_errors` sorts them.
    """
    filled = {
        **given,
        "order": [*FIELDS, *[s for s in given.get("order") or [] if s not in FIELDS]],
    }
    for name in FIELDS:
        text = settings.get(name, "").strip()
        key = "models" if name == "model" else name
        filled[key] = _value(name, text)
        for plural, one in PLURALS.items():
            if one == name:
                filled[plural] = None
    if not filled["models"]:
        filled["models"] = given.get("models")
    return plan(filled, also=lambda config: None)  # the page is there already


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name in _TEXT:  # one a line; a comma is part of a prompt
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text


def field_errors(error: SdvizError) -> dict[str, str]:
    """{field: what is wrong with it, in words}; "" for what belongs to no field."""
    several = error.errors if isinstance(error, ConfigErrors) else [error]
    told: dict[str, list[str]] = {}
    for one in several:
        text = str(one)
        key = (re.match(r"[a-z_]+(?=\b)", text) or [""])[0]
        key = PLURALS.get(key, "model" if key == "models" else key)
        told.setdefault(key if key in FIELDS else "", []).append(text)
    return {key: " ".join(texts) for key, texts in told.items()}


def as_typed(given: Mapping[str, Any]) -> dict[str, str]:
    """The form's first content: the settings that the command line gave."""
    typed = {}
    for name in FIELDS:
        value = given.get("models" if name == "model" else name)
        plural = next((several for several, one in PLURALS.items() if one == name), None)
        if value is None and plural is not None:
            value = given.get(plural)
        parts = value if isinstance(value, list) else [value]
        sign = "\n" if name in _TEXT else ","
        typed[name] = sign.join(str(part) for part in parts if part is not None)
    return typed


def choices() -> dict[str, list[str]]:
    """What the form suggests: every sampler, and the models of conf/model/."""
    from sdviz import samplers

    found = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
    return {"sampler": samplers.names(), "model": found}


def defaults() -> dict[str, str]:
    """What an empty field stands for, where it is not the model's to say."""
    return {
        name: value_label(DEFAULTS[name])
        for name in ("cfg", "sampler", "steps", "seed")
        if DEFAULTS[name]
    }


assert set(FIELDS) <= set(SETTINGS)
