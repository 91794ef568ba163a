"""The board as the sweep sees it: quick, quiet, and never in the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.errors import BoardError
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.ports import ask, look
from sdviz.web.client.sink import BoardSink
from tests.archive import sweeps
from tests.web.visdom.test_page import eventually


def windows(port: int, name: str) -> dict[str, dict[str, object]]:
    return ask(port, "POST", "/win_data", {"eid": name, "win": None}) or {}


def test_a_killed_visdom_is_one_warning_and_the_page_comes_back_whole(
    port: int, outputs: Path
) -> None:
    config = VisdomConfig(port=port)
    plan = sweeps.make_plan({"cfg": [3, 7, 15]}, steps=5)
    writer = ArchiveWriter.open(outputs, "killed", plan, {"name": "killed"}, reuse=False)
    sink = BoardSink.open(config, writer.path, "killed")
    events = list(sweeps.events(plan, writer.todo, "killed"))
    half = len(events) // 2
    warnings: list[str] = []

    def is_warned() -> bool:
        warnings.extend(sink.take_warnings())
        return bool(warnings)

    for event in events[:half]:
        writer.handle(event)
        sink.handle(event)
    os.kill(ask(port, "GET", "/sdviz/health")["pid"], 9)
    eventually(lambda: look(port).kind == "free")
    for event in events[half:]:
        writer.handle(event)
        sink.handle(event)
    eventually(is_warned)
    time.sleep(2.5)
    other = BoardSink.open(config, writer.path, "killed")  # somebody starts Visdom again
    began = time.monotonic()
    writer.close()
    for one in (sink, other):
        one.close()
    assert time.monotonic() - began < 20  # it does not wait for the dead server
    eventually(lambda: len(windows(port, "killed")) == 4 + 3)

    def lengths() -> list[int]:
        found = windows(port, "killed").values()
        return [len(window["content"]) for window in found if window["type"] == "image_history"]

    eventually(lambda: lengths() == [6, 6, 6])  # five steps and the final image
    is_warned()
    assert len(warnings) == 1 and "does not answer" in warnings[0]


def test_something_else_on_the_port_is_an_error_before_the_sweep(outputs: Path) -> None:
    import socket
    from contextlib import closing

    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BoardError, match="which is not Visdom"):
            BoardSink.open(VisdomConfig(port=taken.getsockname()[1]), outputs, "x")


def test_costs_the_sweep_nothing(port: int, outputs: Path) -> None:
    plan = sweeps.make_plan({"cfg": [3, 7]})
    path = sweeps.write(outputs, "free", plan).path
    sink = BoardSink.open(VisdomConfig(port=port), path, "free")
    events = list(sweeps.events(plan, plan.cells, "free"))
    began = time.perf_counter()
    for _ in range(1000):
        for event in events:
            sink.handle(event)
    assert (time.perf_counter() - began) / (1000 * len(events)) < 1e-4
    sink.close()
