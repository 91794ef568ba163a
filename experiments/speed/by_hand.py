"""The loop that one writes by hand, in a process of its own, as a user would have it.

python -m experiments.speed.by_hand cfg=3,7,15 steps=20     # as python -m sdviz.sweep reads them

Its last line is what it took, wall seconds and those of processors, loading of the model included,
imports and first calls not.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import visdom

from experiments.reference import Reference
from sdviz import models
from sdviz.models.loading import quiet
from sdviz.plan.cells import Cell
from sdviz.request.compose import prepare
from sdviz.request.request import Request
from sdviz.web.client import launch

_PAGE = "speed-loop"


def main() -> None:
    logging.getLogger("visdom").setLevel(logging.ERROR)
    quiet()
    request = prepare(sys.argv[1:])
    port = launch.ensure(request.config.visdom).port
    first = request.plan.cells[0]
    run(request, [replace(first, recipe=replace(first.recipe, steps=2))], port)
    print(*clocked(lambda: run(request, request.plan.cells, port)))


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of `work` on the wall, and of the processors that this process kept busy with it."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def run(request: Request, cells: Sequence[Cell], port: int) -> None:
    """diffusers' pipeline once a cell; after every step the VAE decodes and `viz.image` shows."""
    config = request.config
    folder = models.inspect(config.models[cells[0].recipe.model]).folder
    reference = Reference(folder, device=config.device, dtype=config.dtype)
    page = visdom.Visdom(port=port, env=_PAGE, use_incoming_socket=False)
    for cell in cells:
        reference.image(cell.recipe, watch=lambda *told, cell=cell: show(page, cell.index, *told))
    page.delete_env(_PAGE)


def show(
    page: Any, number: int, pipe: Any, step: int, timestep: Any, given: dict[str, Any]
) -> dict[str, Any]:
    """The latents of a step as a picture on the page."""
    latents = given["latents"].to(pipe.vae.dtype) / pipe.vae.config.scaling_factor
    with torch.no_grad():
        image = pipe.vae.decode(latents, return_dict=False)[0]
    picture = pipe.image_processor.postprocess(image.float(), output_type="np")[0]
    pixels = (picture * 255).round().astype("uint8").transpose(2, 0, 1)
    page.image(pixels, win=f"cell {number}", opts={"title": f"step {step + 1}"})
    return {}


if __name__ == "__main__":
    main()
