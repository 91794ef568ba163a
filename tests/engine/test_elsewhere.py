"""A model on another device than the CPU, in half precision: nothing is mixed, and little waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sdviz import models
from sdviz.events import Event, Progress
from sdviz.plan.config import ModelSpec, PreviewConfig
from sdviz.plan.methods import METHODS
from tests import families, tiny
from tests.elsewhere import DEVICE, Device, elsewhere, send
from tests.engine.sweeping import cells_of, of_type, pictures, sweep
from tests.settings import making

SETTINGS: list[dict[str, Any]] = [
    {"steps": 2, **asked}
    for asked in (
        {"cfg": 1.0, "clip_skip": 2, "emphasis": "none"},
        {"prompt": "a (cat:1.3), [dog] BREAK word", "guidance_rescale": 0.7},
        {"sampler": "Euler a", "eta": 0.5, "variation_strength": 0.3, "seed_resize": "96x96"},
        {"init": "x", "strength": 0.6, "tiling": True},
        {"hires_scale": 1.5, "hires_steps": 2, "hires_upscaler": "pixel"},
    )
]


def away(
    folder: Path, asked: Sequence[dict[str, Any]], *, dtype: str = "float16", **settings: Any
) -> tuple[list[Event], Device]:
    """The events of a sweep whose model is on that device."""
    model: Any = models.load(ModelSpec(id=str(folder)), dtype=dtype)
    parts = [*model.make_pipeline().components.values(), getattr(model, "tiny_vae", None)]
    with elsewhere() as device:
        send(*(part for part in parts if isinstance(part, torch.nn.Module)))
        model.device = DEVICE
        told = sweep(
            cells_of(*asked), folder=folder, dtype=dtype, load=lambda *_, **__: model, **settings
        )
    return told, device


def test_that_device_is_told_from_the_cpu() -> None:
    with elsewhere() as device:
        there = torch.ones(3, device=DEVICE)
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.ones(3)
        assert (2 * there).sum().item() == 6 and device.waits == {"_local_scalar_dense": 1}
        assert (there + 1).cpu().tolist() == [2, 2, 2] and device.waits["_to_copy"] == 1


@pytest.mark.parametrize(
    ("make", "dtype"),
    [(tiny.stable_diffusion, "float16"), (families.sdxl, "bfloat16"), (families.kolors, "float16")],
)
def test_every_setting_on_another_device(make: Any, dtype: str, tmp_path: Path) -> None:
    init = making.known(making.picture(tmp_path / "x.png"))
    told, _ = away(make(tmp_path / "model"), SETTINGS, dtype=dtype, inits={"x": init})
    assert len(pictures(told)) == len(SETTINGS)


@pytest.mark.parametrize("make", [families.sd3, families.flux])
def test_whole_pipelines_on_another_device(make: Any, tmp_path: Path) -> None:
    told, _ = away(make(tmp_path / "model"), [{}], preview=PreviewConfig(decoder="auto"))
    assert len(pictures(told)) == 1


@pytest.mark.parametrize("decoder", ["vae", "tiny", "rgb"])
def test_frames_are_fetched_together(decoder: str, tiny_model: Path) -> None:
    preview = PreviewConfig(decoder=decoder)
    asked = [{"seed": seed} for seed in (1, 2, 3)]
    told, device = away(tiny_model, asked, dtype="float32", preview=preview)
    assert len(pictures(told)) == 3
    fitting = 2 if decoder == "rgb" else 0  # a VAE's latents and images, to fit the map to
    # Predictions of three ticks, frames of two, the images and whether they are finite.
    assert device.waits == {"_to_copy": 3 + 2 + 2 + fitting}


def test_no_sampler_waits_for_the_device(tiny_model: Path) -> None:
    """Schedulers look at numbers all the time: theirs are on the CPU, whatever the device."""
    asked = [{"sampler": name, "steps": 2} for name in METHODS]
    told, device = away(tiny_model, asked, dtype="float32", batch=2 * len(asked))
    assert len(pictures(told)) == len(asked)
    ticks = len(of_type(told, Progress))
    assert ticks <= 2 * 2 and set(device.waits) == {"_to_copy"}
    assert device.waits["_to_copy"] <= ticks + 2 * ticks  # predictions, and what is finished
