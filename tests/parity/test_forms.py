"""Every family in every form (folder, single file, the hub's cache), and with a LoRA, swept and
compared with diffusers' own pipeline over the same weights.

Folders of Stable Diffusion 1 are in test_parity with every sampler, those of 2, XL and Kolors in
test_families with mixed batches, of 3 and Flux in tests/models/test_pipeline with their frames.
Single files here hold all that such files can: the text encoder of Kolors is lent by the folder.
Those with less are in tests/models/test_unet_file, those of Stable Diffusion 3 and Flux, which come
in several forms, in tests/models/test_assembly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import save_file

from sdviz import models
from sdviz.plan.cells import Cell
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe
from tests import families, tiny
from tests.engine.sweeping import by_pipeline, pictures, sweep
from tests.models import hub, loras, single
from tests.parity.test_families import most_different

Pictures = dict[int, NDArray[np.uint8]]


def sd2(folder: Path) -> Path:
    return tiny.stable_diffusion(folder, prediction="v_prediction", cross_attention=1024)


@dataclass(frozen=True)
class Family:
    make: Callable[[Path], Path]
    pipeline: Any
    text: str = ""  # how single.checkpoint names its text encoders; "": elsewhere
    transformer: Any = None  # what denoises, where it is no UNet


FAMILIES = {
    "sd1": Family(tiny.stable_diffusion, diffusers.StableDiffusionPipeline, "clip"),
    "sd2": Family(sd2, diffusers.StableDiffusionPipeline, "open_clip"),
    "sdxl": Family(families.sdxl, diffusers.StableDiffusionXLPipeline, "both"),
    "kolors": Family(families.kolors, diffusers.KolorsPipeline, "none"),
    "sd3": Family(
        families.sd3,
        diffusers.StableDiffusion3Pipeline,
        transformer=diffusers.SD3Transformer2DModel,
    ),
    "flux": Family(
        families.flux, diffusers.FluxPipeline, transformer=diffusers.FluxTransformer2DModel
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A family's folder, made once."""
    root = tmp_path_factory.mktemp("forms")

    def folder(name: str) -> Path:
        there = root / name
        return there if there.exists() else FAMILIES[name].make(there)

    return folder


def cells(**settings: Any) -> list[Cell]:
    recipes = [
        Recipe(
            model="tested", prompt=prompt, cfg=4.0, sampler="Euler", steps=2, seed=seed,
            width=64, height=64, **settings,
        )
        for seed, prompt in enumerate(("a cat, sitting", "red dogs"))
    ]  # fmt: skip
    return [Cell(i, (i,), one, str(i)) for i, one in enumerate(recipes)]


def swept(spec: ModelSpec, asked: list[Cell]) -> Pictures:
    return pictures(sweep(asked, spec=spec, batch=4))


class Original:
    """diffusers' own pipeline over a folder, with its own scheduler or Euler's."""

    def __init__(self, name: str, folder: Path) -> None:
        without: dict[str, Any] = {
            "sd1": {"safety_checker": None},
            "sd2": {"safety_checker": None},
            "sd3": {"text_encoder_3": None, "tokenizer_3": None},
        }.get(name, {})
        self.pipeline = FAMILIES[name].pipeline.from_pretrained(folder, **without)
        self.pipeline.set_progress_bar_config(disable=True)
        if FAMILIES[name].transformer is None:
            config = self.pipeline.scheduler.config
            self.pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(config)

    def pictures(self, asked: list[Cell]) -> Pictures:
        return {cell.index: by_pipeline(self.pipeline, cell.recipe) for cell in asked}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_form_equals_the_pipeline(
    name: str,
    folders: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family, folder = FAMILIES[name], folders(name)
    hub.use(tmp_path / "hub", monkeypatch)
    hub.add(tmp_path / "hub", f"tested/{name}", folder)
    specs = {
        "folder": ModelSpec(name="tested", id=str(folder)),
        "hub": ModelSpec(name="tested", id=f"tested/{name}"),
    }
    if family.text:
        file = tmp_path / f"{name}.safetensors"
        save_file(single.checkpoint(folder, text=family.text), file)
        specs["file"] = ModelSpec(name="tested", id=str(file), config=str(folder))
    expected = Original(name, folder).pictures(cells())
    assert most_different({0: expected[0]}, {0: expected[1]}) > 8
    for form, spec in specs.items():
        assert most_different(swept(spec, cells()), expected) <= 1, form
    known = {form: models.inspect(spec).identity for form, spec in specs.items()}
    assert known["folder"] == known["hub"]  # and so the cells are the same


@pytest.mark.parametrize("name", ["sd2", "kolors", "sd3", "flux"])
def test_a_lora_at_every_scale(name: str, folders: Callable[[str], Path], tmp_path: Path) -> None:
    """Those of Stable Diffusion 1 and XL are in tests/models/test_lora, in every format."""
    family, folder = FAMILIES[name], folders(name)
    if family.transformer is None:
        file = loras.diffusers_format(loras.pairs(folder), tmp_path)
    else:
        layers = loras.pairs(folder, family.transformer, "transformer")
        file = loras.diffusers_format(layers, tmp_path, "transformer")
    spec = ModelSpec(name="tested", id=str(folder))
    plain = swept(spec, cells())
    original = Original(name, folder)
    original.pipeline.load_lora_weights(file, adapter_name="lora")
    made = {}
    for scale in (0.0, 0.5, 1.0):
        original.pipeline.set_adapters(["lora"], [scale])
        made[scale] = swept(spec, cells(lora=str(file), lora_scale=scale))
        assert most_different(made[scale], original.pictures(cells())) <= 1, scale
    assert all(made[0.0][i].tobytes() == plain[i].tobytes() for i in plain)  # bit for bit
    assert most_different(made[1.0], made[0.0]) > 8 and most_different(made[1.0], made[0.5]) > 1
