"""Finished sweeps of 1 to 1,000 cells on a Visdom page: how soon of use, how quick, how large."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path
from typing import Any

from experiments.latency.browsing import browser_memory, chromium, new_page
from experiments.latency.memory import resident
from experiments.scale.run import IDENTITY, cell_events
from sdviz.archive.writer import ArchiveWriter
from sdviz.board import launch
from sdviz.board.ports import ask
from sdviz.config import VisdomConfig
from sdviz.events import SweepFinished, SweepStarted
from sdviz.plan import Axis, Cell, Plan, Recipe, cell_key

GRIDS = {1: (1, 1), 12: (3, 4), 200: (10, 20), 1000: (25, 40)}  # cells -> CFG scales, seeds
STEPS, SIDE = 20, 128
STOPS = (0, 10, 3, 15, 7, 19)  # of the slider, each a jump

_MOVE = """async (stop) => {
    const slider = viewer().querySelector(".transport .slider");
    const began = performance.timeOrigin + performance.now();
    slider.value = String(stop);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
    return (await whenSettled()) - began;
}"""


def make_plan(cfgs: int, seeds: int) -> Plan:
    """A grid of CFG scales and seeds."""
    axes = {"cfg": [1.0 + i for i in range(cfgs)], "seed": list(range(seeds))}
    cells = []
    for coords in itertools.product(range(cfgs), range(seeds)):
        cfg, seed = axes["cfg"][coords[0]], int(axes["seed"][coords[1]])
        recipe = Recipe(
            prompt="a red pyramid", cfg=cfg, seed=seed, steps=STEPS, width=SIDE, height=SIDE
        )
        key = cell_key(recipe, model_identity=IDENTITY, dtype="float32")
        cells.append(Cell(len(cells), coords, recipe, key))
    made = tuple(Axis((key,), tuple((v,) for v in values)) for key, values in axes.items())
    return Plan(made, cells, identities={"miniature": IDENTITY})


def write(outputs: Path, name: str, plan: Plan) -> Path:
    """The whole sweep, with pictures that no model made."""
    writer = ArchiveWriter.open(outputs, name, plan, {}, reuse=True)
    writer.handle(SweepStarted(name, plan, {}))
    for cell in writer.todo:
        for event in cell_events(cell):
            writer.handle(event)
    writer.handle(SweepFinished("finished", 1.0))
    writer.close()
    return writer.path


def measure(outputs: Path, port: int) -> list[dict[str, Any]]:
    """One row a size; the server is started anew for each, so that its memory is this page's."""
    rows = []
    for cells, grid in GRIDS.items():
        path = write(outputs, f"page-{cells}", make_plan(*grid))
        launch.stop(port)
        server = launch.ensure(VisdomConfig(port=port))
        with chromium() as browser:
            rows.append({"cells": cells, **_one(browser, server, path)})
        launch.stop(port)
    return rows


def _one(browser: Any, server: launch.Server, path: Path) -> dict[str, Any]:
    page = new_page(browser)
    registered = time.time()
    address = server.url(f"/env/{launch.register(server, path, path.name, 60)}")
    page.goto(address, wait_until="commit")
    began = page.evaluate("() => performance.timeOrigin")
    usable = page.evaluate("() => whenSettled()") - began
    first = page.evaluate(_MOVE, STOPS[0])
    page.wait_for_function("() => document.querySelectorAll('.window').length >= 3")
    page.wait_for_timeout(3000)  # the windows of cells, and what is fetched ahead
    moves = [page.evaluate(_MOVE, stop) for stop in STOPS]
    facts = ask(server.port, "GET", "/sdviz/health")
    assert isinstance(facts, dict)
    left_out = page.locator("text=the sheet shows all")
    return {
        "usable_s": usable / 1000,
        "first_move_s": first / 1000,
        "move_s": statistics.median(moves) / 1000,
        "slowest_s": max(moves) / 1000,
        "windows": page.locator("img.content-image").count(),
        "says": left_out.inner_text() if left_out.count() else "",
        "server": resident(int(facts["pid"])),
        "wait_s": time.time() - registered,
        **browser_memory(page),
    }


def report(rows: list[dict[str, Any]]) -> None:
    names = "cells, usable after, first move, move (median), slowest, server, page's heap, browser"
    print(f"| {names.replace(', ', ' | ')} |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        sizes = " | ".join(f"{row[name] >> 20} MB" for name in ("server", "heap", "processes"))
        print(
            f"| {row['cells']:,} | {row['usable_s']:.1f} s | {row['first_move_s'] * 1000:.0f} ms |"
            f" {row['move_s'] * 1000:.0f} ms | {row['slowest_s'] * 1000:.0f} ms | {sizes} |"
        )
        if row["says"]:
            print(f"{row['cells']:,} cells: {row['says']}")
