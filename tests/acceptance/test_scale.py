"""Many cells: planned, kept and recognised; memory does not grow with their pictures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

from experiments.scale.run import cell_events, make_plan
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.events import SweepFinished, SweepStarted
from sdviz.plan.config import PACKAGE, Config
from sdviz.request.compose import compose, plan
from sdviz.request.request import Request


def request(*typed: str) -> Request:
    """What the command line `typed` asks for, composed as the command does it."""
    given, _ = compose(typed)
    return plan(given, also=lambda config: None)


def keep(asked: Request, outputs: Path) -> None:
    """Writes the whole sweep with pictures that no model made."""
    config: Config = asked.config
    writer = ArchiveWriter.open(outputs, config.name, asked.plan, asked.record, reuse=True)
    writer.handle(SweepStarted(config.name, asked.plan, asked.record))
    for cell in asked.plan.cells:
        for event in cell_events(cell):
            writer.handle(event)
    writer.handle(SweepFinished("finished", 1.0))
    writer.close()


def test_a_hundred_thousand_cells_are_planned(tmp_path: Path) -> None:
    began = time.process_time()
    asked = request("seed=1-5000", "cfg=1-20", f"outputs={tmp_path}", "visdom=off")
    seconds = time.process_time() - began
    print(f"100,000 cells planned in {seconds:.2f} s of a processor")
    assert len(asked.plan.cells) == 100_000
    assert len({cell.key for cell in asked.plan.cells}) == 100_000
    assert [axis.name for axis in asked.plan.axes] == ["seed", "cfg"]
    last = asked.plan.cells[-1].recipe
    assert (last.seed, last.cfg) == (5000, 20.0)
    assert list(tmp_path.iterdir()) == [], "planning writes nothing"


def test_a_finished_sweep_of_a_thousand_cells_is_recognised(tmp_path: Path) -> None:
    typed = ["seed=1-50", "cfg=1-20", "steps=1", "width=64", "height=64", "visdom=off"]
    keep(request(*typed, f"outputs={tmp_path / 'outputs'}"), tmp_path / "outputs")
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "sdviz.sweep", *typed, f"outputs={tmp_path / 'outputs'}"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    spent = [end - start for end, start in zip(os.times(), before, strict=True)]
    print(f"1,000 finished cells recognised in {spent[2] + spent[3]:.2f} s of a processor")
    assert done.returncode == 0, done.stderr
    assert "nothing to compute" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("0 cells in ")


def kept(outputs: Path, cells: int) -> int:
    """Bytes that are still held when so many cells of 4 frames are written."""
    plan = make_plan(cells, frames=4, side=64)
    writer = ArchiveWriter.open(outputs, f"cells{cells}", plan, {}, reuse=True)
    tracemalloc.start()
    try:
        for cell in plan.cells:
            for event in cell_events(cell):
                writer.handle(event)
        writer.close()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_writing_more_cells_takes_no_more_memory(tmp_path: Path) -> None:
    few, many = 100, 300
    kept(tmp_path / "warm", 20)  # what is imported and cached once
    each = (kept(tmp_path, many) - kept(tmp_path, few)) / (many - few)
    print(f"{each:.0f} bytes kept a cell")
    assert each < 1_000, "a cell's pictures, 60 kB, are let go"
