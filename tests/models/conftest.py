"""Tiny models that several files of tests use, and a cache of the hub of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models import forms, hub


@pytest.fixture(scope="session")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny Stable Diffusion 3 or Flux, made once."""
    root = tmp_path_factory.mktemp("flows")

    def folder(name: str) -> Path:
        there = root / name
        return there if there.exists() else forms.MAKE[name](there)

    return folder


@pytest.fixture
def own_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CLIP's vocabulary in it, and no more; and a cache of sdviz's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hub.vocabulary(tmp_path / "hub", monkeypatch)
