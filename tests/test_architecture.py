"""The table of docs/architecture.md, read off the imports: data flows one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sdviz"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))

# Parts that compose all others.
COMPOSING = {
    "__init__", "__main__", "archive.commands", "catchup", "checks", "combinations", "commandline",
    "completion", "compose", "conduct", "draft", "estimate", "inits", "interrupt", "jobs", "live",
    "modelspecs", "naming", "picture", "plancheck", "program", "promptsigns", "request", "serve",
    "settings", "steer", "sweep",
}  # fmt: skip

# Part of sdviz -> the parts that it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "paths": {"errors"},
    "where": {"errors", "axes"},
    "config": {"errors", "paths"},
    "plan": {"errors", "config"},
    "planning": {"errors", "plan", "samplers"},
    "axes": {"errors"},
    "ranges": {"errors", "axes"},
    "methods": set(),
    "samplers": {"errors", "methods"},
    "passes": {"errors", "plan", "samplers"},
    "reference": {"errors", "models", "plan", "samplers"},
    "images": {"errors", "archive"},
    "scores": {"errors", "config", "events", "models", "plan"},
    "events": {"plan"},
    "metrics": set(),
    "viewer": set(),
    "sinks": {"errors", "events", "plan"},
    "models": {"errors", "config", "plan", "samplers", "paths"},
    "preview": {"errors", "config", "models"},
    "engine": {
        "errors", "config", "plan", "events", "models", "samplers", "preview", "metrics", "passes",
        "images", "scores",
    },
    "archive": {
        "errors", "config", "events", "plan", "paths", "samplers", "metrics", "where", "viewer",
        "sinks", "passes", "reference",
    },
    "board": {"errors", "config", "events", "plan", "paths", "archive", "viewer", "sinks"},
}  # fmt: skip

# Third parties that only these parts may import, and wherever else they would be a mistake.
ONLY_IN = {
    "diffusers": {"models", "samplers"},
    "transformers": {"models"},
    "visdom": {"board"},
    "tornado": {"board"},
    "torch": {"models", "engine", "preview"},
}


def part_of(module: str) -> str:
    """`sdviz.archive.store` -> `archive`."""
    return module.split(".")[1] if "." in module else ""


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "sdviz":
                found |= {f"sdviz.{alias.name}" for alias in node.names}
    return found


def own_part(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[:2] in (("archive", "commands"), ("archive", "__main__")):
        return "archive.commands"  # one of the commands, cut into a file for each of its own
    return parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_table(path: Path) -> None:
    part = own_part(path)
    if part in COMPOSING:
        return
    assert part in MAY_IMPORT, f"{part} is in no row of the table"
    used = {part_of(name) for name in imports_of(path) if name.startswith("sdviz")} - {"", part}
    assert used <= MAY_IMPORT[part], f"{part} imports {used - MAY_IMPORT[part]}"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_stays_where_it_belongs(library: str) -> None:
    users = {
        own_part(path)
        for path in SOURCES
        if any(name.split(".")[0] == library for name in imports_of(path))
    }
    assert users <= ONLY_IN[library]


def test_importing_sdviz_is_light() -> None:
    code = (
        "import sdviz, sys;"
        "print([m for m in ('torch', 'visdom', 'hydra', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
