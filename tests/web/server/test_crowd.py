"""Fifty visitors at once, among them one of a hostile archive, one of FIFOs and a dead socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, register, stop
from tests.web.board import free_port
from tests.web.crowd import crowd, outputs


@pytest.fixture
def alone(_own_state: None) -> Iterator[Server]:
    server = ensure(VisdomConfig(port=free_port()))
    yield server
    stop(server.port)


def test_everybody_else_is_served(alone: Server, tmp_path: Path) -> None:
    """How soon is measured by experiments/crowd."""
    made = outputs(tmp_path)
    sweep = {name: register(alone, path, name, 60) for name, path in made.items()}
    with ThreadPoolExecutor(1) as thread:  # the browser's driver has a loop in this one
        seen = thread.submit(lambda: asyncio.run(crowd(alone.port, sweep, 6))).result()
    assert set(seen.statuses) == {200}
    assert seen.statuses[200] >= 47, "each of them at least once"
