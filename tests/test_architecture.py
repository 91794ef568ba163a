"""The table of docs/architecture.md, read off the imports: data flows one way, room by room."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sdviz"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCES
}

# Room -> the rooms that it may import. Rooms import no more of one another than their faces.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "regular_files": set(),
    "__version__": set(),
    "plan": {"errors"},
    "pictures": {"regular_files", "errors", "plan"},
    "events": {"plan", "pictures"},
    "models": {"regular_files", "errors", "plan", "pictures"},
    "engine": {"errors", "plan", "pictures", "events", "models"},
    "archive": {"regular_files", "errors", "plan", "pictures", "events", "__version__"},
    "request": {"regular_files", "errors", "plan", "pictures", "models", "archive"},
    "web": {"regular_files", "errors", "plan", "pictures", "events", "archive", "__version__"},
}
MAY_IMPORT["commands"] = {*MAY_IMPORT}
# What people type: each hands on to its command, and sdviz/__init__.py to what programs call.
DOORS: dict[str, set[str]] = {
    "__init__": {"__version__", "archive", "commands"},
    "__main__": {"__version__", "errors"},
    "archive.__main__": {"commands"},
    "live": {"commands"},
    "serve": {"commands"},
    "sweep": {"commands"},
}
BESIDE = {"__init__", "__main__", "__version__", "py.typed", "miniature", "miniature_flow", "conf"}
MOST_ENTRIES = 14

# Third parties that only these rooms may import, and wherever else they would be a mistake.
ONLY_IN = {
    "diffusers": {"models"},
    "transformers": {"models"},
    "visdom": {"web"},
    "tornado": {"web"},
    "torch": {"models", "engine"},
    "hydra": {"commands", "request"},
}


def room_of(path: Path) -> str:
    """`sdviz/archive/store.py` -> `archive`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "archive.__main__" if parts == ("archive", "__main__") else parts[0]


def imports_of(path: Path) -> Iterator[str]:
    """The modules that a file imports; of `from sdviz.plan import cells` the module `cells`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def rooms_used(path: Path) -> dict[str, set[str]]:
    """Other rooms that a file imports, with the modules of each; "" is the room's `__init__`."""
    used: dict[str, set[str]] = {}
    for name in imports_of(path):
        if name.startswith("sdviz.") and name.split(".")[1] != room_of(path):
            _, room, *inner = name.split(".")
            used.setdefault(room, set()).add(".".join(inner))
    return used


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_table(path: Path) -> None:
    room = room_of(path)
    may_import = DOORS.get(room, MAY_IMPORT.get(room))
    assert may_import is not None, f"{room} is in no row of the table"
    used = rooms_used(path)
    assert set(used) <= may_import, f"{room} imports {set(used) - may_import}"
    for other, modules in used.items():
        face = getattr(importlib.import_module(f"sdviz.{other}"), "FACE", ())
        inside = modules - {"", *face}
        assert not inside, f"{path} looks behind the face of {other}: {inside}"


def test_no_rooms_import_each_other_in_a_circle() -> None:
    rooms: dict[str, set[str]] = {}
    for path in SOURCES:
        rooms.setdefault(room_of(path), set()).update(rooms_used(path))
    assert circle(rooms) == []


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The rooms of some circle of imports, or []."""
    left = {room: set(used) & set(graph) for room, used in graph.items()}
    while leaves := [room for room, used in left.items() if not used & set(left)]:
        for room in leaves:
            del left[room]
    return sorted(left)


def test_a_circle_and_an_unlisted_part_would_be_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()})[:3] == [
        "a", "b", "c",
    ]  # fmt: skip
    assert room_of(PACKAGE / "helpers.py") not in {*MAY_IMPORT, *DOORS}


def test_few_entries_at_the_top() -> None:
    hidden = {"__pycache__"}
    entries = {path.name for path in PACKAGE.iterdir() if not path.name.startswith(".")} - hidden
    entries = {name for name in entries if name.removesuffix(".py") not in BESIDE}
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


@pytest.mark.parametrize("room", sorted(set(MAY_IMPORT) - {"errors", "events", "__version__"}))
def test_a_face_names_modules_that_others_import(room: str) -> None:
    face = set(getattr(importlib.import_module(f"sdviz.{room}"), "FACE", ()))
    assert all(f"sdviz.{room}.{name}" in MODULES for name in face)
    used = [rooms_used(path).get(room, set()) for path in SOURCES]
    assert face <= set().union(*used), "a module that nobody imports is not part of the face"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_stays_where_it_belongs(library: str) -> None:
    users = {
        room_of(path)
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
