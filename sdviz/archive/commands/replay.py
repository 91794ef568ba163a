"""Plays a sweep again in the terminal, in the order in which it happened.

--json tells the events as JSON Lines.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sdviz.archive.reader import Archive
from sdviz.events import (
    CellFailed,
    CellFinished,
    Event,
    Frame,
    Note,
    SweepFinished,
    SweepStarted,
)

EXAMPLE = """python -m sdviz.archive replay outputs/cfg-3 --speed 4
python -m sdviz.archive replay outputs/cfg-3 --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="an archive's folder")
    parser.add_argument("--speed", type=float, default=0, help="times as fast; 0 (default) at once")
    parser.add_argument("--json", action="store_true", help="a JSON object a line, no pixels")


def run(options: argparse.Namespace) -> int:
    with Archive(options.path) as archive:
        for event in _paced(archive.events(), options.speed):
            if options.json:
                print(json.dumps(as_json(event), ensure_ascii=False, default=str))
            elif line := as_line(event):
                print(line, flush=options.speed > 0)
    return 0


def _paced(events: Iterator[Event], speed: float) -> Iterator[Event]:
    """The events with the pauses that they had: frames tell each cell's seconds so far."""
    began = time.monotonic()
    offset: dict[int, float] = {}
    clock = 0.0
    for event in events:
        if speed > 0 and isinstance(event, Frame):
            start = offset.setdefault(event.cell, clock)
            clock = max(clock, start + event.seconds)
            time.sleep(max(0.0, began + clock / speed - time.monotonic()))
        yield event


def as_json(event: Event) -> dict[str, Any]:
    """An event as plain values: its kind, and its fields but for pixels and the whole plan."""
    told: dict[str, Any] = {"kind": type(event).__name__}
    if isinstance(event, SweepStarted):
        axes = {axis.name: axis.values for axis in event.plan.axes}
        return {**told, "name": event.name, "axes": axes, "cells": len(event.plan.cells)}
    fields = {key: value for key, value in vars(event).items() if key != "pixels"}
    nested = {"timings", "stats"} & {key for key in fields if fields[key] is not None}
    return {**told, **fields, **{key: asdict(fields[key]) for key in nested}}


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
