"""Comparable seconds: the same for equal work, whenever a cell rode and whatever else was slow.

A clock of our own, which only the planted costs turn: nothing here depends on the machine.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdviz import models
from sdviz.engine import by_model, devices
from sdviz.engine.pace import Pace, Use
from sdviz.engine.track import Track
from sdviz.events import CellFinished, ComparableTimes, Event
from sdviz.plan.config import ModelSpec
from tests.engine.sweeping import cells_of, of_type, sweep
from tests.families import flux

SAMPLERS = ("Euler a", "Heun", "DPM++ 2M Karras", "DDIM", "UniPC")
ONCE = tuple(name for name in SAMPLERS if name != "Heun")
A_CALL, A_ROW = 0.003, 0.010  # what a forward costs, and each of its rows, seconds
DECODE, ENCODE = 0.02, 0.004
ARITHMETIC = {"UniPC": 0.0004}


class Turned:
    """Seconds that only planted work adds to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Turned:
    turned = Turned()
    monkeypatch.setattr(devices, "clock", turned)
    monkeypatch.setattr(by_model, "clock", turned)
    step = Track.step

    def stepped(track: Track, prediction: Any) -> int:
        turned.now += ARITHMETIC.get(track.sampler.name, 0.0)
        return step(track, prediction)

    monkeypatch.setattr(Track, "step", stepped)
    return turned


def loading(clock: Turned, slowness: Callable[[int], float]) -> Callable[..., Any]:
    """A model whose calls turn the clock; `slowness` is by how much call number n is slower."""

    def load(spec: ModelSpec, *, device: str, dtype: str) -> Any:
        model = models.load(spec, device=device, dtype=dtype)
        predict, decode, encode = model.predict, model.decode, model.encode
        calls = 0

        def predicted(x: Any, *rest: Any) -> Any:
            nonlocal calls
            calls += 1
            clock.now += (A_CALL + A_ROW * len(x)) * slowness(calls)
            return predict(x, *rest)

        def decoded(latents: Any) -> Any:
            clock.now += DECODE * len(latents)
            return decode(latents)

        def encoded(texts: Any) -> Any:
            clock.now += ENCODE * len(texts)
            return encode(texts)

        model.predict, model.decode, model.encode = predicted, decoded, encoded
        return model

    return load


def the_sweep() -> list[Any]:
    return cells_of(
        *(
            {"sampler": sampler, "cfg": cfg, "seed": seed, "steps": 12}
            for sampler in SAMPLERS
            for cfg in (3.0, 7.0, 15.0)
            for seed in (1, 2)
        )
    )


def costs(events: list[Event]) -> dict[int, tuple[float, float]]:
    """The last that was told of each cell."""
    told: dict[int, tuple[float, float]] = {}
    for event in of_type(events, ComparableTimes):
        told.update(event.seconds)
    return told


def calm(call: int) -> float:
    return 1.0


def slow_start(call: int) -> float:
    return 8.0 if call <= 10 else 1.0


def loaded(call: int) -> float:
    """Other work, in bursts: a third of all calls take up to four times as long."""
    chance = random.Random(call)
    return 1 + 3 * chance.random() if chance.random() < 0.35 else 1.0


@pytest.mark.parametrize(
    ("slowness", "batch"), [(calm, 16), (calm, 0), (slow_start, 0), (loaded, 0)]
)
def test_equal_work_costs_the_same(
    tiny_model: Path, clock: Turned, slowness: Callable[[int], float], batch: int
) -> None:
    cells = the_sweep()
    events = sweep(cells, folder=tiny_model, batch=batch, load=loading(clock, slowness))
    told = costs(events)
    assert told.keys() == {event.cell for event in of_type(events, CellFinished)}
    by_sampler = defaultdict(list)
    for cell in cells:
        by_sampler[cell.recipe.sampler].append(told[cell.index])
    for several in by_sampler.values():
        assert len(set(several)) == 1, "one sampler, one cost"
    euler, denoising = by_sampler["Euler a"][0]
    for sampler in ONCE:
        assert by_sampler[sampler][0][0] == pytest.approx(euler, rel=0.05)
    heun = by_sampler["Heun"][0]
    assert heun[1] == pytest.approx(23 / 12 * denoising)
    assert heun[0] == pytest.approx(1.9 * euler, rel=0.05)
    unipc = by_sampler["UniPC"][0][1]
    assert unipc - denoising == pytest.approx(12 * ARITHMETIC["UniPC"]), "its own arithmetic"
    (last,) = of_type(events, ComparableTimes)[-1:]
    assert last.settled and last.device == "cpu"
    row = A_ROW + A_CALL / last.batch
    expected = 12 * 2 * row + DECODE + 2 * ENCODE
    assert euler == pytest.approx(expected, rel=0.05 if slowness is loaded or not batch else 0.02)


def test_what_cells_took_differs_where_what_they_cost_does_not(
    tiny_model: Path, clock: Turned
) -> None:
    """The falsehood that comparable seconds are there to mend."""
    cells = the_sweep()
    events = sweep(cells, folder=tiny_model, batch=0, load=loading(clock, slow_start))
    took = {e.cell: e.timings.denoise_s for e in of_type(events, CellFinished)}
    euler, ddim = (
        max(took[c.index] for c in cells if c.recipe.sampler == name)
        for name in ("Euler a", "DDIM")
    )
    assert euler > 1.5 * ddim


def test_rows_passes_and_frames_count(tiny_model: Path, clock: Turned) -> None:
    cells = cells_of(
        *({"cfg": cfg, "seed": seed} for cfg in (1.0, 3.0) for seed in range(8)),
        *({"hires_scale": 2.0, "hires_strength": 1.0, "seed": seed} for seed in range(8)),
    )
    told = costs(sweep(cells, folder=tiny_model, batch=16, load=loading(clock, calm)))
    plain, guided, hires = (told[index][1] for index in (0, 8, 16))
    assert guided == pytest.approx(2 * plain)
    assert hires == pytest.approx(2 * guided, rel=0.1), "as many steps once more"


def test_few_cells_never_settle_and_it_is_said(tiny_model: Path, clock: Turned) -> None:
    events = sweep(cells_of({"steps": 4}), folder=tiny_model, batch=16, load=loading(clock, calm))
    (last,) = of_type(events, ComparableTimes)[-1:]
    assert not last.settled and last.batch == 2
    assert last.seconds[0][1] == pytest.approx(4 * (A_CALL + 2 * A_ROW))


def test_finished_cells_are_told_on_the_way() -> None:
    told: list[Event] = []
    clock = Turned()
    pace = Pace("m", "cpu", told.append, clock)
    pace.ticked((8, 8), 4, 0.4)
    pace.finished(0, Use(2, "Euler", {(8, 8): 3}))
    pace.tell(4, settled=True)
    assert told == []
    clock.now = 6.0
    pace.tell(4, settled=False)
    assert told == []
    pace.tell(4, settled=True)
    assert told == [
        ComparableTimes("m", {0: (pytest.approx(0.6), pytest.approx(0.6))}, 4, True, "cpu")
    ]


def test_a_group_of_few_takes_the_rate_of_all() -> None:
    told: list[Event] = []
    pace = Pace("m", "cpu", told.append, Turned())
    pace.ticked((8, 8), 16, 1.6)
    pace.finished(0, Use(1, "Euler", {(8, 8): 1}))
    pace.group = 1
    pace.ticked((8, 8), 2, 0.8)  # too few to fill a batch: each row is dearer
    pace.finished(1, Use(1, "Euler", {(8, 8): 1}))
    pace.finished(2, Use(1, "Euler", {(16, 16): 1}))  # nothing is known of its size
    pace.tell_all(16, settled=True)
    (event,) = of_type(told, ComparableTimes)
    assert event.seconds == {0: (0.1, 0.1), 1: (0.1, 0.1)} and event.settled


def test_pipelines_of_their_own_have_them_too(tmp_path: Path) -> None:
    """On the machine's own clock: equal work is equal, whatever it measured."""
    cells = cells_of(*({"seed": seed, "cfg": 2.0} for seed in range(3)), {"steps": 6, "cfg": 2.0})
    events = sweep(cells, folder=flux(tmp_path / "flux"))
    told = costs(events)
    assert told.keys() == {event.cell for event in of_type(events, CellFinished)} == {0, 1, 2, 3}
    assert told[0] == told[1] == told[2]
    assert told[3][1] == pytest.approx(2 * told[0][1]), "twice the steps"
