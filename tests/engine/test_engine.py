"""What a user notices of the engine: images, frames, failures, timings."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sdviz.errors import ModelError
from sdviz.events import CellFinished, CellStarted, Progress
from sdviz.plan.config import PreviewConfig
from tests.engine import sweeping
from tests.engine.sweeping import cells_of, frames, images, of_type, sweep
from tests.oracle import Oracle

MIXED = (
    {"sampler": "Euler a", "steps": 3},
    {"sampler": "Heun", "steps": 4, "cfg": 1.0},
    {"sampler": "DPM++ 2M Karras", "steps": 5, "seed": 7},
    {"sampler": "PLMS", "steps": 4, "prompt": "a dog"},
)


def test_a_cell_is_the_same_in_any_company(tiny_model: Path) -> None:
    cells = cells_of(*MIXED)
    together = images(sweep(cells, folder=tiny_model))
    for cell in cells:
        alone = images(sweep([cell], folder=tiny_model))[cell.index]
        assert np.abs(alone.astype(int) - together[cell.index]).max() <= 1
    again = images(sweep(cells, folder=tiny_model))
    assert all((again[i] == together[i]).all() for i in together), "same batch, same bits"


def test_every_cell_starts_shows_each_step_and_finishes(tiny_model: Path) -> None:
    cells = cells_of(*MIXED)
    events = sweep(cells, folder=tiny_model, preview=PreviewConfig(decoder="rgb"))
    assert sorted(e.cell for e in of_type(events, CellStarted)) == [0, 1, 2, 3]
    finished = {e.cell: e for e in of_type(events, CellFinished)}
    for cell in cells:
        shown = frames(events, cell.index)
        assert [frame.step for frame in shown] == list(range(1, cell.recipe.steps + 1))
        assert all(f.pixels is not None and f.pixels.shape == (64, 64, 3) for f in shown)
        assert (shown[-1].pixels == finished[cell.index].pixels).all(), "the last is the image"
        assert (shown[-1].stats is not None) and (shown[-1].stats.guidance is None) == (
            cell.recipe.cfg == 1
        )


def test_every_nth_step_is_shown_and_always_the_last(tiny_model: Path) -> None:
    events = sweep(
        cells_of({"steps": 5}), folder=tiny_model, preview=PreviewConfig(decoder="rgb", every=2)
    )
    assert [frame.step for frame in frames(events, 0)] == [2, 4, 5]


def test_progress_counts_rows_and_ends_at_the_total(tiny_model: Path) -> None:
    events = of_type(sweep(cells_of(*MIXED), folder=tiny_model, batch=4), Progress)
    assert [e.evaluations for e in events] == sorted(e.evaluations for e in events)
    # Euler a 3, Heun 2 * 4 - 1 without guidance, DPM++ 2M 5, PLMS 4 + 1
    assert (events[-1].evaluations, events[-1].total) == (3 * 2 + 7 + 5 * 2 + 5 * 2,) * 2


def test_without_guidance_a_cell_costs_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = Oracle()
    sweeping.use(monkeypatch, lambda dtype: oracle)
    sweep(cells_of({"cfg": 1.0, "steps": 2}, {"cfg": 2.0, "steps": 2, "seed": 2}))
    assert oracle.forwards == [3, 3]


def test_cells_that_begin_alike_share_their_first_prediction(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    cells = cells_of({"cfg": 2.0}, {"cfg": 5.0}, {"cfg": 1.0}, {"cfg": 5.0, "seed": 2})
    together = images(sweep(cells, folder=tiny_model))
    for cell in cells:
        alone = images(sweep([cell], folder=tiny_model))[cell.index]
        assert np.abs(alone.astype(int) - together[cell.index]).max() <= 1
    oracle = Oracle()
    sweeping.use(monkeypatch, lambda dtype: oracle)
    sweep(cells)
    assert oracle.forwards == [4, 7, 7], "seed 1: one prompt and one negative for three cells"


def test_a_text_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = Oracle()
    sweeping.use(monkeypatch, lambda dtype: oracle)
    sweep(cells_of(*[{"prompt": p, "seed": s} for s in (1, 2, 3) for p in ("cat", "dog")]))
    assert sorted(text.prompt for text in oracle.encoded) == ["", "cat", "dog"]


def test_it_stops_between_two_ticks(tiny_model: Path) -> None:
    calls = iter(range(100))
    events = sweep(cells_of({"steps": 50}), folder=tiny_model, should_stop=lambda: next(calls) >= 4)
    assert 1 <= len(of_type(events, Progress)) <= 4
    assert not of_type(events, CellFinished)


def test_a_missing_model_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        sweep(cells_of({}), folder=tmp_path / "nowhere")


def test_times_are_shared_among_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping.use(monkeypatch, lambda dtype: Oracle(before=lambda rows: time.sleep(0.03)))
    start = time.perf_counter()
    events = sweep(cells_of({"cfg": 1.0, "steps": 4}, {"cfg": 2.0, "steps": 4}))
    wall = time.perf_counter() - start
    one, two = (e.timings for e in sorted(of_type(events, CellFinished), key=lambda e: e.cell))
    assert one.denoise_s + two.denoise_s <= wall
    assert one.denoise_s + two.denoise_s >= 4 * 0.03
    assert two.denoise_s == pytest.approx(2 * one.denoise_s)
    assert one.batch == two.batch == 3
    assert one.warmup and two.warmup


def test_images_of_different_sizes_share_a_sweep(tiny_model: Path) -> None:
    cells = cells_of({}, {"width": 96}, {"seed": 2}, {"width": 96, "seed": 2})
    made = images(sweep(cells, folder=tiny_model))
    assert [made[i].shape for i in range(4)] == [(64, 64, 3), (64, 96, 3)] * 2
