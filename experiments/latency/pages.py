"""Finished sweeps of 1 to 1,000 cells on a Visdom page: how soon of use, how quick, how large."""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.latency.browsing import browser_memory, chromium, new_page
from experiments.latency.memory import resident
from experiments.scale.run import IDENTITY, cell_events
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.events import SweepFinished, SweepStarted
from sdviz.pictures.pixels import Pixels
from sdviz.plan.cells import Axis, Cell, Plan, cell_key
from sdviz.plan.config import VisdomConfig
from sdviz.plan.settings import Recipe
from sdviz.web.client import launch
from sdviz.web.client.ports import ask

# CFG scales, seeds, steps, pixels a side
GRIDS = [
    *((1, 1, 20, 128), (3, 4, 20, 128), (10, 20, 20, 128), (25, 40, 20, 128)),
    (10, 10, 6, 1024),
]
STOPS = (0.0, 0.5, 0.15, 0.75, 0.35, 0.95)  # of the slider's way, each a jump

_MOVE = """async (part) => {
    const slider = viewer().querySelector(".transport .slider");
    const began = performance.timeOrigin + performance.now();
    slider.value = String(Math.floor(part * slider.max));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
    return (await whenSettled()) - began;
}"""


def make_plan(cfgs: int, seeds: int, steps: int, side: int) -> Plan:
    """A grid of CFG scales and seeds."""
    axes = {"cfg": [1.0 + i for i in range(cfgs)], "seed": list(range(seeds))}
    cells = []
    for coords in itertools.product(range(cfgs), range(seeds)):
        cfg, seed = axes["cfg"][coords[0]], int(axes["seed"][coords[1]])
        recipe = Recipe(
            prompt="a red pyramid", cfg=cfg, seed=seed, steps=steps, width=side, height=side
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
            pixels = getattr(event, "pixels", None)
            writer.handle(event if pixels is None else replace(event, pixels=grained(pixels)))
    writer.handle(SweepFinished("finished", 1.0))
    writer.close()
    return writer.path


def grained(pixels: Pixels) -> Pixels:
    """A gradient with grain of 1 to 16 pixels, so that its WebP is about as large as a
    photograph's, and so is that of its small form.
    """
    noise, total = np.random.default_rng(0), np.zeros(pixels.shape[:2], dtype=np.int16)
    height, width = total.shape
    for size in (1, 2, 4, 8, 16):
        coarse = noise.integers(-6, 7, (height // size + 1, width // size + 1), dtype=np.int16)
        total += coarse.repeat(size, 0).repeat(size, 1)[:height, :width]
    return np.asarray((pixels + total[..., None]).clip(0, 255), dtype=np.uint8)


def measure(outputs: Path, port: int) -> list[dict[str, Any]]:
    """One row a size; the server is started anew for each, so that its memory is this page's."""
    rows = []
    for cfgs, seeds, steps, side in GRIDS:
        cells = cfgs * seeds
        path = write(outputs, f"page-{cells}-{side}", make_plan(cfgs, seeds, steps, side))
        launch.stop(port)
        server = launch.ensure(VisdomConfig(port=port))
        with chromium() as browser:
            rows.append({"cells": cells, "side": side, **_one(browser, server, path)})
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
    names = "cells, pixels, usable after, first move, move, slowest, server, page's heap, browser"
    print(f"| {names.replace(', ', ' | ')} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        sizes = " | ".join(f"{row[name] >> 20} MB" for name in ("server", "heap", "processes"))
        moves = [row[name] * 1000 for name in ("first_move_s", "move_s", "slowest_s")]
        told = " | ".join(f"{move:.0f} ms" for move in moves)
        size = f"{row['cells']:,} | {row['side']}"
        print(f"| {size} | {row['usable_s']:.1f} s | {told} | {sizes} |")
        if row["says"]:
            print(f"{row['cells']:,} cells: {row['says']}")
