"""The name of a sweep's archive: the user's, or one made so that the same command gives the same
name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sdviz.errors import ConfigError
from sdviz.plan.config import Config

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


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
    title = re.sub(r"[^A-Za-z0-9._]+", "-", preset or "-".join(axes) or "image").strip("-.")
    return f"{title[:80] or 'sweep'}-{signed[:6]}"


def check_name(name: str) -> str:
    """`name` if it can name a folder and an environment everywhere; ConfigError otherwise."""
    if _NAME.fullmatch(name):
        return name
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:100] or "my-sweep"
    raise ConfigError(
        f"name={name!r}: only letters, digits, `.`, `_` and `-`, at most 100, no dot first; "
        f"name={safe} would do"
    )
