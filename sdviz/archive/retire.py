"""Keeping an archive when a new one of the same name is begun."""

from __future__ import annotations

from pathlib import Path


def retire(root: Path) -> Path:
    """Renames outputs/<name> to <name>.1, or the first number that is free; nothing is deleted."""
    number = 1
    while (kept := root.with_name(f"{root.name}.{number}")).exists():
        number += 1
    root.rename(kept)
    return kept
