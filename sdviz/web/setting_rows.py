"""The rows of sdviz.plan.settings for pages, so that scripts need no list of settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sdviz.plan.grammar import in_quotes
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import typed


def setting_rows() -> list[dict[str, Any]]:
    """A row per setting, in their order; flags only where they hold."""
    return [
        {"name": name, "kind": row.kind, "default": row.default, "help": row.help}
        | ({"none": True} if row.none else {})
        | ({"absorbed": True} if row.absorbed else {})
        | ({"speaks": True} if row.speaks else {})
        for name, row in SETTINGS.items()
    ]


def form_fields() -> list[dict[str, str]]:
    """The settings with a separate field in the live form, in its order."""
    rows = sorted((row for row in SETTINGS.values() if row.form), key=lambda row: row.form)
    return [{"name": row.name, "kind": row.kind} for row in rows]


def typed_texts(
    fixed: Mapping[str, Any], varying: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    """By setting, the texts that are not typed as they stand, and how they are: of `fixed` alone,
    of `varying` as members of a list.
    """
    texts: dict[str, dict[str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for settings in (fixed, *varying):
        for name, value in settings.items():
            if not isinstance(value, str) or name not in SETTINGS or (name, value) in seen:
                continue
            seen.add((name, value))
            listed = SETTINGS[name].kind == "text" and settings is not fixed
            text = in_quotes(value) if listed else typed(name, value)
            if text != value:
                texts.setdefault(name, {})[value] = text
    return texts
