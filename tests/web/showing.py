"""Finished sweeps on a page, and what is waited for there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdviz.web.client.launch import Server, register
from tests.archive import sweeps

SLIDER = "denoising step of all cells"


def finished(outputs: Path, name: str, axes: dict[str, list[Any]], **fixed: Any) -> Path:
    plan = sweeps.make_plan(axes, **{"steps": 10, "width": 64, "height": 64, **fixed})
    return sweeps.write(outputs, name, plan).path


def show(server: Server, path: Path, max_windows: int = 60) -> str:
    return server.url(f"/env/{register(server, path, path.name, max_windows)}")


def eventually(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.05)
    return found


def sheet_pictures(page: Any) -> list[str]:
    """The addresses of the pictures on the sheet."""
    return [image.get_attribute("src") for image in page.locator(".sdviz .sheet img:visible").all()]
