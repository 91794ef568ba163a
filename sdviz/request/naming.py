"""The name of a sweep's archive: the user's, or one made so that the same command gives the same
name.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from sdviz.archive.paths import is_reserved
from sdviz.errors import ConfigError
from sdviz.plan.config import Config

_LONGEST = 100  # characters of a name
_MOST_BYTES = 200  # of a name; file systems take 255, and `.1` and more are put behind it
_SIGNS = "._-"


def signature(config: Config, values: Mapping[str, Sequence[Any]], rules: Mapping[str, Any]) -> str:
    """64 hex digits of what a command asks for: `seed=-1` as such, before a seed is drawn.

    Where a sweep is shown and kept does not count; which frames it makes does.
    """
    content = {
        "settings": {name: several for name, several in values.items() if several != [None]},
        "rules": dict(rules),
        "models": {
            name: [spec.id, spec.revision, spec.variant, spec.kind, spec.prediction]
            for name, spec in config.models.items()
        },
        "dtype": config.dtype,
        "samples": [config.samples, config.rounds, config.fixed_noise],
        "preview": [config.preview.decoder, config.preview.every, config.preview.of],
        **({"reference": config.reference} if config.reference else {}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def made_name(axes: Sequence[str], signed: str, *, preset: str = "") -> str:
    """`cfg-sampler-7f3a1c`: a preset's name or the axes', then digits of the signature."""
    title = _plain(preset or "-".join(axes) or "image", longest=80).strip(".-")
    return f"{title or 'sweep'}-{signed[:6]}"


def check_name(name: str) -> str:
    """`name` if it can name a folder and an environment everywhere, in Unicode's composed form
    (NFC); ConfigError otherwise. Letters and digits are those of any script.
    """
    name = unicodedata.normalize("NFC", name)
    if is_reserved(name):
        raise ConfigError(f"name={name}: a name that Windows reserves; for example name={name}-1")
    if name and name == _plain(name, longest=_LONGEST):
        return name
    safe = _plain(name, longest=_LONGEST).strip(".-") or "my-sweep"
    raise ConfigError(
        f"name={name!r}: only letters, digits, `.`, `_` and `-`, at most {_LONGEST} (of some "
        f"scripts fewer), no dot first or last; for example name={safe}",
        key="name",
    )


def _plain(text: str, *, longest: int) -> str:
    """`text` with a `-` for what a name cannot have, cut to `longest` characters."""
    text = "".join(sign if _is_of_a_name(sign) else "\0" for sign in text)
    text = re.sub("\0+", "-", text).lstrip(".").rstrip(".")[:longest]
    while len(text.encode()) > _MOST_BYTES:
        text = text[:-1]
    return text.rstrip(".")


def _is_of_a_name(sign: str) -> bool:
    """A letter, a digit or a mark on one (as in Hindi and Thai), or one of the plain signs."""
    return sign in _SIGNS or sign.isalnum() or unicodedata.category(sign)[0] == "M"
