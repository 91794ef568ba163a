"""An exception that nobody knows, planted at every seam: it fails its cell, and no other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdviz import models
from sdviz.archive.reader import Archive
from sdviz.commands.sweep.conduct import conduct
from sdviz.engine import finishing
from sdviz.engine.scores import Scorer
from sdviz.errors import ArchiveError
from sdviz.events import CellFailed, CellFinished, Event, Note
from sdviz.models.addons import scores
from sdviz.models.addons.fitting import Loras
from sdviz.models.families import schedulers
from tests import families
from tests.engine import sweeping
from tests.engine.sweeping import cells_of, images, of_type, sweep
from tests.models import loras
from tests.reading import reader

BAD = "bad"  # a prompt, and the name of what goes with it
TEXT = "MadeUp: the left flange is bent"


class MadeUp(Exception):
    """Of a type that nothing in sdviz can name."""


def bend(*_: Any, **__: Any) -> Any:
    raise MadeUp("the left flange is bent")


def planted(plant: Callable[[Any], None]) -> Callable[..., Any]:
    """Loads a model, and plants something in it."""

    def load(*given: Any, **more: Any) -> Any:
        model = models.load(*given, **more)
        plant(model)
        return model

    return load


def at_call(owner: Any, name: str, number: int) -> None:
    """Call `number` (from 1) of a function bends, and so does every one with the same rows."""
    function, calls = getattr(owner, name), []

    @functools.wraps(function)
    def counted(*given: Any, **more: Any) -> Any:
        calls.append(1)
        return bend() if len(calls) == number else function(*given, **more)

    setattr(owner, name, counted)


def in_encoder(model: Any) -> None:
    encode = model.encode
    model.encode = lambda texts: bend() if texts[0].prompt == BAD else encode(texts)


def in_denoiser(model: Any) -> None:
    """Whenever the rows of the bad prompt are among those of a forward."""
    (bad,) = model.encode([model.texts(cells_of({"prompt": BAD})[0].recipe)[0]])
    predict, hidden = model.predict, bad["encoder_hidden_states"]

    def checked(x: torch.Tensor, timesteps: torch.Tensor, rows: Any) -> torch.Tensor:
        if any(torch.equal(row["encoder_hidden_states"], hidden) for row in rows):
            bend()
        prediction: torch.Tensor = predict(x, timesteps, rows)
        return prediction

    model.predict = checked


def in_vae(model: Any) -> None:
    """The latent that is decoded last, alone or among others."""
    decode, seen = model.decode, []

    def checked(latents: torch.Tensor) -> torch.Tensor:
        seen.append(latents[-1]) if not seen else None
        if any(torch.equal(one, seen[0]) for one in latents):
            bend()
        images: torch.Tensor = decode(latents)
        return images

    model.decode = checked


@pytest.mark.parametrize("plant", [in_encoder, in_denoiser, in_vae])
def test_in_the_model(plant: Callable[[Any], None], tiny_model: Path) -> None:
    cells = cells_of({"prompt": "a"}, {"prompt": BAD}, {"prompt": "c"})
    events = sweep(cells, folder=tiny_model, load=planted(plant))
    (failed,) = of_type(events, CellFailed)
    assert failed.reason == TEXT
    done = images(events)
    assert len(done) == 2
    whole = images(sweep(cells, folder=tiny_model))
    assert all(np.abs(done[i].astype(int) - whole[i]).max() <= 1 for i in done)


@pytest.mark.parametrize("name", ["step", "scale_model_input", "set_timesteps"])
def test_in_a_scheduler(name: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import diffusers

    monkeypatch.setattr(diffusers.HeunDiscreteScheduler, name, bend)
    cells = cells_of({"sampler": "Euler"}, {"sampler": "Heun"}, {"sampler": "DDIM"})
    events = sweep(cells, folder=tiny_model)
    assert [(event.cell, event.reason) for event in of_type(events, CellFailed)] == [(1, TEXT)]
    assert sorted(images(events)) == [0, 2]


def test_in_the_noise_level(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    level = schedulers.sigma
    monkeypatch.setattr(
        schedulers, "sigma", lambda one, t: bend() if "Heun" in str(type(one)) else level(one, t)
    )
    cells = cells_of({"sampler": "Euler"}, {"sampler": "Heun"})
    events = sweep(cells, folder=tiny_model)
    assert [(event.cell, event.reason) for event in of_type(events, CellFailed)] == [(1, TEXT)]
    assert sorted(images(events)) == [0]


def test_in_a_lora(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = loras.kohya(loras.pairs(tiny_model), tmp_path)
    monkeypatch.setattr(Loras, "_load", bend)
    events = sweep(cells_of({}, {"lora": str(file)}, {"seed": 2}), folder=tiny_model)
    assert [(event.cell, event.reason) for event in of_type(events, CellFailed)] == [(1, TEXT)]
    assert sorted(images(events)) == [0, 2]


def test_in_the_safety_checker(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing.Finisher, "_flags", bend)
    events = sweep(cells_of({}, {"safety": "mark"}, {"seed": 2}), folder=tiny_model)
    assert [(event.cell, event.reason) for event in of_type(events, CellFailed)] == [(1, TEXT)]
    assert sorted(images(events)) == [0, 2]


def test_in_a_preview_costs_the_frames_alone(tiny_model: Path) -> None:
    from sdviz.plan.config import PreviewConfig

    def plant(model: Any) -> None:
        model.tiny_vae.decode = bend

    preview = PreviewConfig(decoder="tiny")
    events = sweep(
        cells_of({}, {"seed": 2}), folder=tiny_model, load=planted(plant), preview=preview
    )
    assert sorted(sweeping.pictures(events)) == [0, 1]
    (note,) = [note for note in of_type(events, Note) if note.kind == "preview"]
    assert note.text == f"no frames: {TEXT}"


def test_in_loading_fails_the_cells_of_that_model(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = models.load
    cells = cells_of({"model": "bent"}, {"model": "tested"})
    events = sweep(
        cells, folder=tiny_model,
        load=lambda spec, **more: bend() if spec.name == "bent" else load(spec, **more),
    )  # fmt: skip
    assert [(event.cell, event.reason) for event in of_type(events, CellFailed)] == [(0, TEXT)]
    assert sorted(images(events)) == [1]


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_in_a_pipeline_as_a_whole(part: str, tmp_path: Path) -> None:
    folder = families.sd3(tmp_path / "sd3")

    def plant(model: Any) -> None:
        owner = getattr(model.pipeline, part)
        at_call(owner, "decode" if part == "vae" else "forward", 1)

    cells = cells_of({"seed": 1}, {"seed": 2}, {"seed": 3})
    events = sweep(cells, folder=folder, batch=1, load=planted(plant))
    assert [(event.cell, event.reason) for event in of_type(events, CellFailed)] == [(0, TEXT)]
    assert sorted(images(events)) == [1, 2]


def test_the_exit_status_is_1_and_the_text_is_printed(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    request = reader(tiny_model, tmp_path)(
        prompt=["a", BAD, "c"], steps=2, visdom={"enabled": False}, reference=0
    )
    assert conduct(request, load=planted(in_denoiser)) == 1
    assert f"cell 1 failed: {TEXT}" in capfd.readouterr().err
    with Archive(tmp_path / "outputs" / request.config.name) as archive:
        assert [cell.status for cell in archive.cells] == ["done", "failed", "done"]


def test_a_scorer_costs_the_score_and_not_the_picture(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    request = reader(tiny_model, tmp_path)(
        prompt=["a", BAD, "c"], steps=2, visdom={"enabled": False}, reference=0
    )
    monkeypatch.setattr(scores, "is_asked", lambda config: True)
    score = Scorer.score
    monkeypatch.setattr(
        Scorer, "score",
        lambda own, cell, pixels: bend() if cell.index == 1 else score(own, cell, pixels),
    )  # fmt: skip
    assert conduct(request) == 1
    assert f"cell 1 is not scored: {TEXT}" in capfd.readouterr().err
    with Archive(tmp_path / "outputs" / request.config.name) as archive:
        assert [cell.status for cell in archive.cells] == ["done", "done", "done"]


def test_a_sink_that_fails_is_no_failure_of_a_cell(tiny_model: Path) -> None:
    from sdviz import engine
    from sdviz.plan.cells import Plan
    from sdviz.plan.config import Config, ModelSpec

    cells, seen = cells_of({}, {"seed": 2}), []

    def emit(event: Event) -> None:
        seen.append(event)
        if isinstance(event, CellFinished):
            raise ArchiveError("the disk is full")

    config = Config(device="cpu", models={"tested": ModelSpec(name="tested", id=str(tiny_model))})
    with pytest.raises(ArchiveError, match="the disk is full"):
        engine.run(cells, plan=Plan((), cells), config=config, emit=emit,
                   should_stop=lambda: False)  # fmt: skip
    assert not of_type(seen, CellFailed)
