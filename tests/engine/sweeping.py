"""A sweep in one call, for the tests of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from sdviz import engine, models
from sdviz.events import CellFailed, CellFinished, Event, Frame
from sdviz.pictures.pixels import Pixels
from sdviz.plan.cells import Cell, Plan
from sdviz.plan.config import Config, EngineConfig, ModelSpec, PreviewConfig
from sdviz.plan.settings import Recipe

E = TypeVar("E")


def cells_of(*settings: dict[str, Any]) -> list[Cell]:
    """A cell for each dict of settings, over a small cheap recipe."""
    plain: dict[str, Any] = {
        "model": "tested",
        "prompt": "a cat",
        "cfg": 3.0,
        "sampler": "Euler",
        "steps": 3,
        "seed": 1,
        "width": 64,
        "height": 64,
    }
    return in_cells([Recipe(**{**plain, **changed}) for changed in settings])


def in_cells(recipes: Sequence[Recipe]) -> list[Cell]:
    return [Cell(i, (i,), recipe, str(i)) for i, recipe in enumerate(recipes)]


def sweep(
    cells: Sequence[Cell],
    *,
    folder: Path | None = None,
    spec: ModelSpec | None = None,
    batch: int = 16,
    dtype: str = "float32",
    should_stop: Callable[[], bool] = lambda: False,
    load: Callable[..., Any] | None = None,
    **settings: Any,
) -> list[Event]:
    """The events of a sweep; `folder` is the model's, or `spec` says more of it. Other settings are
    those of Config.
    """
    events: list[Event] = []
    plain = {
        "models": {"tested": spec or ModelSpec(name="tested", id=str(folder or ""))},
        "engine": EngineConfig(batch=batch),
        "preview": PreviewConfig(decoder="none"),
    }
    config = Config(**{"device": "cpu", **plain, **settings})
    engine.run(
        cells,
        plan=Plan((), cells, dtype=dtype),
        config=config,
        emit=events.append,
        should_stop=should_stop,
        load=load,
    )
    return events


def use(monkeypatch: pytest.MonkeyPatch, make: Callable[[str], Any]) -> None:
    """Lets the engine load what `make` gives for a dtype instead of a model from files."""

    def load(spec: ModelSpec, *, device: str, dtype: str) -> Any:
        return make(dtype)

    monkeypatch.setattr(models, "load", load)


def of_type(events: Sequence[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def pictures(events: Sequence[Event]) -> dict[int, Pixels]:
    """The image of each cell, none of which has failed."""
    assert [event.reason for event in of_type(events, CellFailed)] == []
    return images(events)


def images(events: Sequence[Event]) -> dict[int, Pixels]:
    return {event.cell: event.pixels for event in of_type(events, CellFinished)}


def by_pipeline(pipeline: Any, recipe: Recipe) -> Pixels:
    """The picture that diffusers' own pipeline makes of a recipe, with the scheduler it has."""
    result = pipeline(
        recipe.prompt,
        guidance_scale=recipe.cfg,
        num_inference_steps=recipe.steps,
        width=recipe.width,
        height=recipe.height,
        generator=torch.Generator("cpu").manual_seed(recipe.seed),
    )
    return np.asarray(result.images[0])


def frames(events: Sequence[Event], cell: int) -> list[Frame]:
    return [frame for frame in of_type(events, Frame) if frame.cell == cell]
