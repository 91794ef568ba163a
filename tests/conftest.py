"""What several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

pytest_plugins = ["tests.web.board"]  # a board, a browser, and a state folder of their own


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Stable Diffusion (64x64, random weights), with a tiny VAE beside it."""
    from tests import tiny

    return tiny.stable_diffusion(tmp_path_factory.mktemp("models") / "tiny-sd", tiny_vae=True)


@pytest.fixture
def reading(tiny_model: Path, tmp_path: Path) -> Any:
    """A tests.reading.reader of the tiny model."""
    from tests.reading import reader

    return reader(tiny_model, tmp_path)


@pytest.fixture(scope="session")
def browsers() -> Iterator[Any]:
    """Playwright's driver, which can be started only once in a process."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        yield driver
