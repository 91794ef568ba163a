"""What the windows of a page say, without a browser."""

from __future__ import annotations

from typing import Any

from sdviz.web.visdom import panes, plots


def described(cells: int, labels: list[str] | None = None, **more: Any) -> dict[str, Any]:
    labels = labels or [str(n) for n in range(cells)]
    done = [{"i": n, "c": [n], "t": {"denoise_s": 1.0}} for n in range(cells)]
    dims = [{"keys": ["cfg"], "labels": labels}]
    return {"name": "s", "status": "finished", "fixed": {}, "dims": dims, "cells": done, **more}


def head(description: dict[str, Any]) -> str:
    return str(panes.head(description, 60, "/sheet")["data"][0]["content"])


def test_a_finished_sweep_has_a_full_bar_even_if_nothing_was_computed() -> None:
    """The same command again: no evaluations, all cells there."""
    progress = {"done": 3, "total": 3, "evaluations": 0, "evaluations_total": 0}
    assert "width:100.0%" in head(described(3, progress=progress))
    running = {"done": 1, "total": 4, "evaluations": 30, "evaluations_total": 60}
    assert "width:50.0%" in head(described(4, progress=running, status="running"))


def test_values_with_commas_are_told_apart() -> None:
    text = head(described(2, labels=["a castle, sunset", "a ship"]))
    assert "&quot;a castle, sunset&quot;, &quot;a ship&quot;" in text


def test_ticks_are_cells_and_nothing_between_them() -> None:
    few = plots.times(described(3, labels=["7", "15", "20"]))["layout"]["xaxis"]
    assert few["tickvals"] == [0, 1, 2] and few["ticktext"] == ["cfg=7", "cfg=15", "cfg=20"]
    assert plots.times(described(12, labels=["x" * 20] * 12))["layout"]["xaxis"]["dtick"] == 1
    assert plots.times(described(48))["layout"]["xaxis"]["dtick"] == 5
    assert plots.times(described(1000))["layout"]["xaxis"]["dtick"] == 100
    steps = [(step, 0.1) for step in range(1, 4)]
    assert plots.speed({"Heun": steps})["layout"]["xaxis"]["dtick"] == 1


def test_a_cells_title_has_what_is_short_first() -> None:
    dims = [
        {"keys": ["prompt"], "labels": ["a castle on a hill above the sea, at sunset", "b"]},
        {"keys": ["sampler"], "labels": ["Heun", "DDIM"]},
        {"keys": ["cfg"], "labels": ["3", "7"]},
    ]
    title = panes.cell_title({"dims": dims}, {"i": 3, "c": [0, 1, 1]})
    assert title == "DDIM | cfg=7 | prompt=a castle on a hill abov..."
