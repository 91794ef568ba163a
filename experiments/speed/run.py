"""How fast is a sweep with everything on? See README.md beside this file.

python experiments/speed/run.py
python experiments/speed/run.py model=sd15 width=512 height=512 device=cuda
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import visdom

from sdviz import engine, models, samplers
from sdviz.board import launch
from sdviz.compose import prepare
from sdviz.conduct import conduct
from sdviz.config import ModelSpec, PreviewConfig
from sdviz.engine.counter import rows_in
from sdviz.engine.devices import now
from sdviz.events import CellFinished, Event, Note
from sdviz.models.denoiser import Text
from sdviz.plan import Recipe
from sdviz.request import Request

SWEEP = [
    "sampler=euler_a,heun,dpmpp_2m_karras,ddim",
    "cfg=3,7,15",
    "seed=1,2",
    "steps=20",
    "prompt='a red pyramid in the desert at sunset with a sun'",
    "name=speed",
    "reuse=false",
]
BATCHES = (8, 16, 24, 32, 48, 64)


def main() -> None:
    logging.getLogger("visdom").setLevel(logging.ERROR)
    request = compose([*SWEEP, *sys.argv[1:]])
    rows = sum(rows_in(cell) for cell in request.plan.cells)
    server = launch.ensure(request.config.visdom)
    small = compose([*SWEEP, *sys.argv[1:], "steps=2", "name=speed-warm-up"])
    conduct(small)  # imports, kernels, caches: paid by nobody

    seconds = {
        "loop": clocked(lambda: loop(request, server.port)),
        "sweep": clocked(lambda: conduct(request)),
    }
    events: list[Event] = []
    seconds["quiet"] = clocked(lambda: quiet(request, events))
    seconds["engine"] = sum(e.timings.denoise_s for e in events if isinstance(e, CellFinished))
    batch, a_row = bare(request)
    seconds["bare"] = rows * a_row
    report(request, seconds, rows=rows, batch=batch, events=events)


def compose(overrides: list[str]) -> Request:
    """What `python -m sdviz.sweep` with these overrides would compute."""
    return prepare(last_wins(overrides))


def last_wins(overrides: list[str]) -> list[str]:
    """Hydra refuses a key that is given twice."""
    return list({text.partition("=")[0]: text for text in overrides}.values())


def clocked(work: Callable[[], object]) -> float:
    """Wall seconds of `work`, loading of the model included."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def loop(request: Request, port: int) -> None:
    """What one writes by hand: diffusers' pipeline once a cell, every step decoded and shown."""
    first = request.plan.cells[0].recipe
    folder = models.inspect(spec(request, first)).folder
    dtype = getattr(torch, request.config.dtype)
    pipeline: Any = diffusers.StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, torch_dtype=dtype
    ).to(request.config.device)
    pipeline.set_progress_bar_config(disable=True)
    original = pipeline.scheduler.config
    page = visdom.Visdom(port=port, env="speed-loop", use_incoming_socket=False)

    def show(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        latents = given["latents"].to(pipe.vae.dtype) / pipe.vae.config.scaling_factor
        with torch.no_grad():
            image = pipe.vae.decode(latents, return_dict=False)[0]
        picture = pipe.image_processor.postprocess(image.float(), output_type="np")[0]
        pixels = (picture * 255).round().astype("uint8").transpose(2, 0, 1)
        page.image(pixels, win=f"cell {cell.index}", opts={"title": f"step {step + 1}"})
        return {}

    for cell in request.plan.cells:
        recipe = cell.recipe
        sampler = samplers.resolve(recipe.sampler)
        scheduler = getattr(diffusers, sampler.scheduler)
        pipeline.scheduler = scheduler.from_config(original, **sampler.kwargs)
        pipeline(
            recipe.prompt,
            negative_prompt=recipe.negative or None,
            guidance_scale=recipe.cfg,
            num_inference_steps=recipe.steps,
            width=recipe.width,
            height=recipe.height,
            generator=torch.Generator("cpu").manual_seed(recipe.seed),
            callback_on_step_end=show,
        )
    page.delete_env("speed-loop")


def spec(request: Request, recipe: Recipe) -> ModelSpec:
    return request.config.models[recipe.model]


def quiet(request: Request, events: list[Event]) -> None:
    """The same cells, with no frame decoded and nothing told to anyone."""
    config = replace(request.config, preview=PreviewConfig(decoder="none"))
    keep = (CellFinished, Note)
    engine.run(
        request.plan.cells,
        plan=request.plan,
        config=config,
        emit=lambda event: events.append(event) if isinstance(event, keep) else None,
    )


@torch.inference_mode()
def bare(request: Request) -> tuple[int, float]:
    """(batch, seconds): the best batch size of the denoiser alone, and what a row costs in it."""
    config, recipe = request.config, request.plan.cells[0].recipe
    denoiser = models.load(spec(request, recipe), device=config.device, dtype=config.dtype)
    (text,) = denoiser.encode([Text(recipe.prompt, width=recipe.width, height=recipe.height)])
    shape = denoiser.latent_shape(recipe.width, recipe.height)
    best = (0, float("inf"))
    for size in BATCHES:
        x, timesteps = torch.randn(size, *shape), torch.linspace(999, 1, size)
        for _ in range(4):
            start = now(config.device)
            denoiser.predict(x, timesteps, [text] * size)
            best = min(best, (size, (now(config.device) - start) / size), key=lambda it: it[1])
    return best


def report(
    request: Request, seconds: dict[str, float], *, rows: int, batch: int, events: list[Event]
) -> None:
    """Prints the table and puts it beside the sweep's archive."""
    compared = {
        "a": ("loop", "sweep", "by hand / everything on", "at least 3.5, better 6"),
        "b": ("sweep", "quiet", "everything on / all sinks and previews off", "at most 1.15"),
        "c": ("engine", "bare", "engine / bare denoiser", "at most 1.05"),
    }
    names = {
        "loop": "diffusers' pipeline cell by cell, VAE and viz.image at every step",
        "sweep": "sdviz, everything on",
        "quiet": "sdviz, sinks and previews off",
        "engine": "its denoising alone",
        "bare": f"{rows} rows through the bare denoiser, {batch} at once",
    }
    cells = len(request.plan.cells)
    for key, name in names.items():
        print(f"{name:66} {seconds[key]:8.2f} s {seconds[key] / cells:8.3f} s a cell")
    ratios = {}
    for key, (above, below, name, aim) in compared.items():
        ratios[key] = seconds[above] / seconds[below]
        print(f"({key}) {name:62} {ratios[key]:8.2f}   {aim}")
    content = {
        "seconds": seconds,
        "ratios": ratios,
        "rows": rows,
        "cells": cells,
        "device": request.config.device,
        "dtype": request.config.dtype,
        "threads": torch.get_num_threads(),
        "notes": [event.text for event in events if isinstance(event, Note)],
    }
    path = Path(request.config.outputs) / request.config.name / "speed.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"table: {path}")


if __name__ == "__main__":
    main()
