"""A sweep's cells, model by model: each is loaded once and freed before the next."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from sdviz import models
from sdviz.engine.batched import Engine
from sdviz.engine.batcher import RowBudget, RowCounter
from sdviz.engine.conducted import Conducted
from sdviz.engine.devices import clock, free, give_back, keep
from sdviz.engine.finishing import Finisher
from sdviz.engine.pace import Pace
from sdviz.engine.scores import Scorer
from sdviz.errors import ModelError, reason_of
from sdviz.events import CellFailed, CellFinished, Event, Note
from sdviz.models.addons import scores
from sdviz.models.addons.checks import worn
from sdviz.models.addons.fitting import Fitting
from sdviz.models.denoiser import Denoiser
from sdviz.models.families.whole_pipeline import WholePipeline
from sdviz.models.hardware import device as devices
from sdviz.models.hardware import options
from sdviz.plan.cells import Cell, Plan
from sdviz.plan.config import Config, ModelSpec


def run(
    cells: Sequence[Cell],
    *,
    plan: Plan,
    config: Config,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool],
    load: Callable[..., Any] | None = None,
) -> None:
    """Computes `cells`; returns early, between two ticks, once `should_stop` says so.

    A cell that cannot be computed is told by CellFailed and the rest goes on, and so it is with a
    model that cannot be loaded, unless it is the only one: then ModelError. What `emit` raises ends
    the sweep, and is raised.
    """
    try:
        _run(cells, plan, config, _ended_by_sinks(emit), should_stop, load)
    except _SinkFailure as failure:
        raise failure.error from None


class _SinkFailure(BaseException):
    """What a sink has raised; no guard of a cell takes it for the cell's own failure."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _ended_by_sinks(emit: Callable[[Event], None]) -> Callable[[Event], None]:
    def handle(event: Event) -> None:
        try:
            emit(event)
        except Exception as error:
            raise _SinkFailure(error) from error

    return handle


def _run(
    cells: Sequence[Cell],
    plan: Plan,
    config: Config,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool],
    load: Callable[..., Any] | None,
) -> None:
    device, _ = devices.resolve(config)
    keep(device)
    settled: set[int] = set()

    def counting(event: Event) -> None:
        if isinstance(event, (CellFinished, CellFailed)):
            settled.add(event.cell)
        emit(event)

    sweep = _Sweep(config, device, plan.dtype, counting, should_stop, RowCounter(cells, emit))
    sweep.load = load or models.load
    by_model: dict[str, list[Cell]] = {}
    for cell in cells:
        by_model.setdefault(cell.recipe.model, []).append(cell)
    for name, group in by_model.items():
        try:
            sweep.run_model(name, group)
        except ModelError as error:
            if len(by_model) == 1:
                raise
            sweep.fail([cell for cell in group if cell.index not in settled], str(error))
        except Exception as error:  # the guard of a model: the others go on
            sweep.fail([cell for cell in group if cell.index not in settled], reason_of(error))
    give_back(device)  # a notebook or the live page stays, and so would the memory


class _Sweep:
    """What the models of a sweep have in common."""

    def __init__(
        self,
        config: Config,
        device: str,
        dtype: str,
        emit: Callable[[Event], None],
        should_stop: Callable[[], bool],
        counter: RowCounter,
    ) -> None:
        self.config = config
        self.device = device
        self.dtype = dtype
        self.emit = emit
        self.should_stop = should_stop
        self.counter = counter
        self.finisher = Finisher(ModelSpec(), device)  # of the model at work
        self.tell = emit  # of the model at work: scores follow its pictures where asked for
        self.loaded = False
        self.budget = RowBudget()
        self.pace = Pace("", device, emit, clock)
        self.load: Callable[..., Any] = models.load

    def run_model(self, name: str, cells: Sequence[Cell]) -> None:
        """All cells of one model; those that overflow in half precision again in float32."""
        if self.should_stop():
            return
        overflowed = self._compute(name, cells, self.dtype)
        if overflowed and not self.should_stop():
            text = f"recomputed in float32: NaN in {self.dtype}"
            data = {"cells": [cell.index for cell in overflowed]}
            self.emit(Note("precision", f"{len(overflowed)} cells {text}", data))
            self.counter.again(overflowed)
            try:
                self._compute(name, overflowed, "float32", notes=(text,))
            except ModelError as error:  # it takes twice the memory
                self.fail(overflowed, f"NaN in {self.dtype}, and float32 is not available: {error}")

    def fail(self, cells: Sequence[Cell], reason: str) -> None:
        for cell in cells:
            self.counter.settle(cell, 0)
            self.emit(CellFailed(cell.index, reason))

    def _compute(
        self, name: str, cells: Sequence[Cell], dtype: str, notes: tuple[str, ...] = ()
    ) -> list[Cell]:
        spec = self.config.models.get(name) or ModelSpec(name=name, id=name)
        if self.loaded:  # the model before, and what looked at its pictures
            self.finisher, self.tell = Finisher(ModelSpec(), self.device), self.emit
            free(self.device)
        self.loaded = True
        self.budget = RowBudget(self.config.engine.batch)  # found once for all LoRAs of a model
        denoiser = self.load(spec, device=self.device, dtype=dtype)
        for missing in options.apply(self.config.engine, unet=denoiser.unet, vae=denoiser.vae):
            self.emit(Note("options", f"no engine.{missing}"))
        if scores.is_asked(self.config):
            scorer = Scorer(self.config, spec, self.device)
            self.tell = scorer.listening({cell.index: cell for cell in cells}, self.emit)
        self.finisher = Finisher(spec, self.device)
        fitting = Fitting(denoiser, spec)
        self.pace = Pace(name, self.device, self.tell, clock)
        groups = _by_parts(cells)
        if len(groups) > 1:
            text = f"only cells of one LoRA, scale and VAE share a batch: {len(groups)} groups"
            self.emit(Note("groups", text, {"groups": len(groups)}))
        overflowed = []
        for group in groups:
            try:
                fitting.fit(group[0].recipe)
                options.fit_vae(self.config.engine, denoiser.vae)
            except Exception as error:  # the guard of a group: the others go on
                if len(groups) == 1 and isinstance(error, ModelError):
                    raise
                self.fail(group, reason_of(error))
                continue
            overflowed += self._denoise(denoiser, group, notes)
            self.pace.group += 1
        self.pace.tell_all(self.budget.rows, settled=self.budget.settled)
        return overflowed

    def _denoise(
        self, model: Denoiser | WholePipeline, cells: Sequence[Cell], notes: tuple[str, ...]
    ) -> list[Cell]:
        """All cells that share a model's layers; those that overflow are returned."""
        if self.should_stop():
            return []
        engine: Engine | Conducted
        if isinstance(model, WholePipeline):
            engine = Conducted(model, cells, budget=self.budget, **self._common(notes))
        else:
            engine = Engine(model, cells, budget=self.budget, **self._common(notes))
        try:
            while not engine.is_idle and not self.should_stop():
                engine.tick()
        finally:
            engine.close()
        self._tell_batch()
        return engine.overflowed

    def _common(self, notes: tuple[str, ...]) -> dict[str, Any]:
        """What both engines are told of the sweep."""
        return {
            "config": self.config,
            "emit": self.tell,
            "counter": self.counter,
            "finisher": self.finisher,
            "pace": self.pace,
            "notes": notes,
        }

    def _tell_batch(self) -> None:
        rows = self.budget.rows
        how = "as configured" if self.config.engine.batch else "measured"
        self.emit(Note("batch", f"up to {rows} rows per tick ({how})", {"rows": rows}))


def _by_parts(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Groups of cells that share a LoRA, its scale and a VAE, in the order first seen."""
    groups: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(worn(cell.recipe), []).append(cell)
    return list(groups.values())
