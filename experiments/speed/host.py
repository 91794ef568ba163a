"""What a GPU waits for: the processor's time between two forwards of the denoiser.

python experiments/speed/host.py

A denoiser that answers at once takes the place of a model. So the seconds are those of schedulers,
of guidance and of the looks at every latent, for each cell and evaluation, without frames, at the
latents of pictures of 512 and 1024 pixels. It needs neither a model nor a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

from sdviz import engine
from sdviz.engine.batcher import rows_in
from sdviz.models.denoiser import Conditioning, Text
from sdviz.plan.cells import Cell, Plan
from sdviz.plan.config import Config, EngineConfig, ModelSpec, PreviewConfig
from sdviz.plan.settings import Recipe, is_guided

SIZES = (512, 1024)
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M Karras", "UniPC", "DDIM", "Heun", "LMS", "DPM++ SDE")
CELLS, STEPS = 16, 20


class Instant:
    """A Denoiser that predicts and decodes nothing, in no time."""

    device = "cpu"
    dtype = torch.float32
    prediction_type = "epsilon"
    scheduler_config: Mapping[str, Any] = {
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    }  # fmt: skip
    convolutional: Sequence[Any] = ()
    unet = tiny_vae = None
    vae = SimpleNamespace()

    def texts(self, recipe: Recipe) -> tuple[Text, Text | None]:
        return Text(recipe.prompt), Text(recipe.negative) if is_guided(recipe) else None

    def encode(self, texts: Sequence[Text]) -> list[Conditioning]:
        return [{"encoder_hidden_states": torch.zeros(1)} for _ in texts]

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return 4, height // 8, width // 8

    def predict(self, x: torch.Tensor, *_: Any) -> torch.Tensor:
        return x

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(latents), 3, 8, 8)


def main() -> None:
    print(f"processor's milliseconds a cell and evaluation, {CELLS} cells at once")
    print(f"{'':18}" + "".join(f"{size:>8}" for size in SIZES))
    for sampler in SAMPLERS:
        spent = [milliseconds(sampler, size) for size in SIZES]
        print(f"{sampler:18}" + "".join(f"{one:8.2f}" for one in spent))


def milliseconds(sampler: str, size: int) -> float:
    """For each evaluation of a cell, with guidance; the quicker of two runs."""
    plain = Recipe(model="none", prompt="a", cfg=7, sampler=sampler, steps=STEPS)
    cells = [
        Cell(i, (i,), replace(plain, seed=i, width=size, height=size), str(i)) for i in range(CELLS)
    ]
    config = Config(
        device="cpu",
        models={"none": ModelSpec(name="none", id="none")},
        engine=EngineConfig(batch=2 * CELLS),
        preview=PreviewConfig(decoder="none"),
    )
    spent = []
    for _ in range(2):
        began = time.process_time()
        engine.run(
            cells,
            plan=Plan((), cells, dtype="float32"),
            config=config,
            emit=lambda event: None,
            load=lambda *_, **__: Instant(),
        )
        spent.append(time.process_time() - began)
    return 1000 * min(spent) / sum(rows_in(cell) // 2 for cell in cells)


if __name__ == "__main__":
    main()
