"""The engine: continuous batching of cells through one denoiser. Importing it needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sdviz.events import Event
from sdviz.plan.cells import Cell, Plan
from sdviz.plan.config import Config

# The modules that other rooms import; the rest is this room's own.
FACE = ("scores",)


__all__ = ["run"]


def run(
    cells: Sequence[Cell],
    *,
    plan: Plan,
    config: Config,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool] = lambda: False,
    load: Callable[..., Any] | None = None,
) -> None:
    """Computes `cells` of `plan`, telling `emit` what happens; see sdviz.engine.by_model.

    `load` takes the place of sdviz.models.load, for those who keep a model.
    """
    from sdviz.engine.by_model import run as run_now

    run_now(cells, plan=plan, config=config, emit=emit, should_stop=should_stop, load=load)
