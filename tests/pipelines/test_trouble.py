"""Cells of diffusers' own pipelines in one batch, of which something goes wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from greenlet import getcurrent

from sdviz import models
from sdviz.engine.conductor import Body, Captured
from sdviz.events import CellFailed, CellFinished, Note
from sdviz.plan.config import ModelSpec
from tests import families
from tests.engine.sweeping import cells_of, images, of_type, pictures, sweep
from tests.pipelines import making

SETTINGS = [{"seed": seed, "steps": steps} for seed in (1, 2) for steps in (2, 3)]


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return families.flux(tmp_path_factory.mktemp("flux") / "model")


def one_by_one(folder: Path) -> dict[int, Any]:
    found = {}
    for cell in cells_of(*SETTINGS):
        found |= pictures(sweep([cell], folder=folder))
    return found


def most_different(some: dict[int, Any], others: dict[int, Any]) -> int:
    return max(int(np.abs(some[i].astype(int) - others[i]).max()) for i in some)


def denoising(change: Callable[..., Any]) -> Callable[..., Any]:
    """Loads models whose denoiser's forward is `change(forward, arguments)`."""

    def load(spec: ModelSpec, *, device: str, dtype: str) -> Any:
        model = models.load(spec, device=device, dtype=dtype)
        forward = model.unet.forward

        @functools.wraps(forward)
        def changed(**arguments: Any) -> Any:
            return change(forward, arguments)

        model.unet.forward = changed
        return model

    return load


def notes(events: list[Any], kind: str) -> list[str]:
    return [note.text for note in of_type(events, Note) if note.kind == kind]


def test_rows_that_influence_each_other_are_computed_one_by_one(flux: Path) -> None:
    def leaks(forward: Any, arguments: Any) -> Any:
        (made,) = forward(**arguments)
        return (made + made.mean(0, keepdim=True),)

    load = denoising(leaks)
    events = sweep(cells_of(*SETTINGS), folder=flux, load=load)
    (text,) = notes(events, "solo")
    assert "influence one another" in text
    alone = {}
    for cell in cells_of(*SETTINGS):
        alone |= pictures(sweep([cell], folder=flux, load=load))
    assert most_different(pictures(events), alone) <= 1


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")
def test_perturbed_attention_guidance_is_computed_one_by_one(tmp_path: Path) -> None:
    """Its processors part the batch into three."""
    making.save(making.pixart_pag(), tmp_path / "model")
    cells = cells_of({"seed": 1, "steps": 2}, {"seed": 2, "steps": 2, "cfg": 5.0})
    events = sweep(cells, folder=tmp_path / "model")
    assert notes(events, "solo")
    alone = {}
    for cell in cells:
        alone |= pictures(sweep([cell], folder=tmp_path / "model"))
    assert most_different(pictures(events), alone) <= 1


def test_what_a_scheduler_raises_fails_its_cell_alone(
    flux: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = one_by_one(flux)
    step = diffusers.FlowMatchEulerDiscreteScheduler.step

    def breaks(self: Any, *given: Any, **more: Any) -> Any:
        if len(self.timesteps) == 3 and self.step_index == 1:
            raise ValueError("the second of three")
        return step(self, *given, **more)

    monkeypatch.setattr(diffusers.FlowMatchEulerDiscreteScheduler, "step", breaks)
    events = sweep(cells_of(*SETTINGS), folder=flux)
    assert [failed.cell for failed in of_type(events, CellFailed)] == [1, 3]
    assert all("second of three" in failed.reason for failed in of_type(events, CellFailed))
    made = images(events)
    assert sorted(made) == [0, 2] and most_different(made, expected) <= 1


def test_what_a_forward_raises_fails_its_cell_alone(flux: Path) -> None:
    """Of several in one forward, each alone shows which it is; the others stay together."""
    expected = one_by_one(flux)

    def breaks(forward: Any, arguments: Any) -> Any:
        if (arguments["guidance"] > 8).any():
            raise ValueError("too much guidance")
        return forward(**arguments)

    settings = [*SETTINGS, {"cfg": 9.0, "seed": 5}]
    events = sweep(cells_of(*settings), folder=flux, load=denoising(breaks))
    (failed,) = of_type(events, CellFailed)
    assert failed.cell == 4 and "too much guidance" in failed.reason
    assert most_different(images(events), expected) <= 1
    assert max(done.timings.batch for done in of_type(events, CellFinished)) > 1


def test_nan_in_half_precision_is_computed_again(flux: Path) -> None:
    def overflows(forward: Any, arguments: Any) -> Any:
        (made,) = forward(**arguments)
        return (made * float("nan") if made.dtype == torch.bfloat16 else made,)

    cells = cells_of(*SETTINGS[:2])
    events = sweep(cells, folder=flux, dtype="bfloat16", load=denoising(overflows))
    assert notes(events, "precision")
    assert most_different(pictures(events), one_by_one(flux)) <= 1


def test_memory_that_runs_out_takes_fewer_rows(flux: Path) -> None:
    def exhausts(forward: Any, arguments: Any) -> Any:
        if arguments["hidden_states"].shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**arguments)

    events = sweep(cells_of(*SETTINGS), folder=flux, load=denoising(exhausts))
    assert "memory ran out" in notes(events, "memory")[0]
    assert most_different(pictures(events), one_by_one(flux)) <= 1


def test_autocast_and_grad_mode_stay_with_their_body() -> None:
    layer = torch.nn.Linear(4, 4)
    here = getcurrent()

    def plain() -> tuple[Any, ...]:
        captured = Captured(layer, ["forward"], here)
        with torch.no_grad():
            made = captured(torch.ones(1, 4))
            return made.dtype, torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()

    def mixed() -> tuple[Any, ...]:
        captured = Captured(layer, ["forward"], here)
        with torch.enable_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            made = captured(torch.ones(1, 4))
            return made.dtype, torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()

    bodies = [Body(mixed), Body(plain)]
    with torch.no_grad():
        for body in bodies:
            body.start()
            assert not torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled()
        assert bodies[0].call and bodies[1].call and bodies[0].call.form != bodies[1].call.form
        for body in bodies:
            assert body.call
            body.go_on(body.call.run())
            assert not torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled()
    assert bodies[0].result == (torch.bfloat16, True, True)
    assert bodies[1].result == (torch.float32, False, False)
