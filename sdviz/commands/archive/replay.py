"""Plays a sweep again, on a Visdom page as if it were running, or in the terminal.

The page shows a copy. The next replay of the same archive replaces it. The pauses are those of the
sweep, without loading the model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sdviz.archive.guard import guarded
from sdviz.archive.reader import Archive
from sdviz.archive.replay import Pace, events
from sdviz.archive.writing.stage import Stage
from sdviz.commands.terminal import say, say_json
from sdviz.errors import BoardError, ConfigError
from sdviz.events import (
    CellFailed,
    CellFinished,
    Event,
    Frame,
    Note,
    SweepFinished,
    SweepStarted,
)
from sdviz.plan.config import VisdomConfig

EXAMPLE = """python -m sdviz.archive replay outputs/cfg-3 --speed 4
python -m sdviz.archive replay outputs/cfg-3 --terminal
python -m sdviz.archive replay outputs/cfg-3 --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="an archive's folder")
    parser.add_argument(
        "--speed", type=float, help="speed factor; 0: at once (default 1; as text 0)"
    )
    parser.add_argument("--port", type=int, default=6006, help="port of Visdom (default 6006)")
    parser.add_argument(
        "--terminal", action="store_true", help="one line per event, without a page"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line, without pixels"
    )


def run(options: argparse.Namespace) -> int:
    as_text = options.terminal or options.json
    speed = (0.0 if as_text else 1.0) if options.speed is None else options.speed
    if not 0 <= speed < float("inf"):
        raise ConfigError(f"--speed {speed}: must be a number from 0")
    if not 1 <= options.port <= 65535:
        raise ConfigError(f"--port {options.port}: must be a number from 1 to 65535")
    with guarded(options.path) as archive:
        if as_text:
            _print(archive, speed, as_objects=options.json)
        else:
            _show(archive, speed, replace(VisdomConfig(), port=options.port))
    return 0


def _print(archive: Archive, speed: float, *, as_objects: bool) -> None:
    for event in _paced(archive, speed):
        if as_objects:
            say_json(as_json(event))
        elif line := as_line(event):
            say(line)


def _paced(archive: Archive, speed: float) -> Iterator[Event]:
    pace, began = Pace(archive), time.monotonic()
    for event in events(archive, pace):
        if speed > 0:
            time.sleep(max(0.0, began + pace.seconds / speed - time.monotonic()))
        yield event


def _show(archive: Archive, speed: float, visdom: VisdomConfig) -> None:
    """Plays it on the board, which is started if there is none."""
    from sdviz.web.client.launch import ensure, register
    from sdviz.web.client.state import BoardState, page_name

    server = ensure(visdom)
    if not server.is_ours:
        raise BoardError(
            f"--port {visdom.port} is used by a Visdom server that sdviz did not start, and that "
            "cannot show archives; give another --port, or --terminal"
        )
    name = page_name(f"{archive.path.resolve().name}-replay")
    copy = BoardState.of_port(visdom.port).folder / "replays" / name
    with Stage(archive, copy, name) as stage:
        page = register(server, copy, name, visdom.max_windows)
        say(server.url(f"/env/{page}"))
        began = time.monotonic()
        stage.play(speed)
    say(f"played in {time.monotonic() - began:.1f} s; the page stays")


def as_json(event: Event) -> dict[str, Any]:
    """An event as plain values: its kind, and its fields but for pixels and the whole plan."""
    head: dict[str, Any] = {"kind": type(event).__name__}
    if isinstance(event, SweepStarted):
        axes = {axis.name: axis.values for axis in event.plan.axes}
        return {**head, "name": event.name, "axes": axes, "cells": len(event.plan.cells)}
    fields = {key: value for key, value in vars(event).items() if key != "pixels"}
    nested = {"timings", "stats"} & {key for key in fields if fields[key] is not None}
    return {**head, **fields, **{key: asdict(fields[key]) for key in nested}}


def as_line(event: Event) -> str:
    """An event as a person reads it; "" for the small ones."""
    if isinstance(event, SweepStarted):
        return f"{event.name}: {len(event.plan.cells)} cells"
    if isinstance(event, Frame):
        return f"cell {event.cell}  step {event.step}/{event.steps}  sigma {event.sigma:.3f}"
    if isinstance(event, CellFinished):
        return f"cell {event.cell}  finished in {event.timings.total_s:.3f} s"
    if isinstance(event, CellFailed):
        return f"cell {event.cell}  failed: {event.reason}"
    if isinstance(event, Note):
        return f"{event.kind}: {event.text}"
    if isinstance(event, SweepFinished):
        return f"{event.status} after {event.seconds:.1f} s"
    return ""
