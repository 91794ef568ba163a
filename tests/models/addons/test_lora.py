"""LoRAs of every format and scale, against diffusers' own pipeline and against no LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.reference import Reference
from sdviz.errors import ModelError
from sdviz.events import Event, Note
from sdviz.models import inspect
from sdviz.models.addons import checks, lora
from sdviz.plan.cells import Cell
from sdviz.plan.config import ModelSpec
from sdviz.plan.planning import make_plan
from sdviz.plan.settings import Recipe
from tests import families, tiny
from tests.engine import sweeping
from tests.models import loras

SCALES = (0.0, 0.5, 1.0)


def recipe(**settings: Any) -> Recipe:
    own = {"prompt": "a cat, sitting", "cfg": 4.0, "steps": 2, "seed": 5, "width": 64, "height": 64}
    return Recipe(model="tested", **{**own, **settings})


def sweep(
    folder: Path, recipes: list[Recipe], *, trust: bool = False
) -> tuple[list[NDArray[np.uint8]], list[Event]]:
    """The images of `recipes`, in their order, and all events."""
    cells = [Cell(i, (i,), made, str(i)) for i, made in enumerate(recipes)]
    spec = ModelSpec(name="tested", id=str(folder), trust_pickle=trust)
    events = sweeping.sweep(cells, spec=spec, batch=8)
    done = sweeping.pictures(events)
    return [done[cell.index] for cell in cells], events


def furthest(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return families.sdxl(tmp_path_factory.mktemp("lora") / "sdxl")


@pytest.mark.parametrize("form", loras.FORMATS)
def test_every_format_at_every_scale(form: str, sdxl: Path, tmp_path: Path) -> None:
    layers = loras.pairs(sdxl)
    file = loras.FORMATS[form](layers, tmp_path)
    plain = recipe()
    recipes = [plain, *(recipe(lora=str(file), lora_scale=scale) for scale in SCALES)]
    made, events = sweep(sdxl, recipes, trust=True)

    reference = Reference(sdxl, diffusers.StableDiffusionXLPipeline)
    (tmp_path / "known").mkdir()
    known = file if form == "kohya" else loras.diffusers_format(layers, tmp_path / "known")
    reference.wear(known)
    expected = [reference.image(plain, lora_scale=scale) for scale in SCALES]

    assert made[0].tobytes() == made[1].tobytes()  # scale 0 is no LoRA, bit for bit
    for ours, theirs in zip(made[1:], expected, strict=True):
        assert furthest(ours, theirs) <= 1
    assert furthest(made[0], made[3]) > 8  # the LoRA is seen
    assert furthest(made[2], made[3]) > 8  # and so is its scale
    groups = [event for event in events if isinstance(event, Note) and event.kind == "groups"]
    assert groups[0].data["groups"] == 3  # none and 0, 0.5, 1


def test_scales_after_each_other_leave_nothing_behind(sdxl: Path, tmp_path: Path) -> None:
    file = loras.kohya(loras.pairs(sdxl), tmp_path)
    worn = [recipe(lora=str(file), lora_scale=scale) for scale in (1.0, 0.5)]
    mixed, _ = sweep(sdxl, [*worn, recipe()])
    alone, _ = sweep(sdxl, [recipe()])
    assert mixed[2].tobytes() == alone[0].tobytes()


def test_diffsynths_blocks_of_the_real_model() -> None:
    """Read off the list in DiffSynth-Studio's diffsynth/models/sdxl_unet.py."""
    unet = {
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 2,
    }
    places = {
        7: "down_blocks.1.attentions.0",
        10: "down_blocks.1.attentions.1",
        15: "down_blocks.2.attentions.0",
        18: "down_blocks.2.attentions.1",
        21: "mid_block.attentions.0",
        **{place: f"up_blocks.0.attentions.{i}" for i, place in enumerate((25, 28, 31))},
        **{place: f"up_blocks.1.attentions.{i}" for i, place in enumerate((35, 38, 41))},
    }
    assert lora.attention_blocks(unet) == places


def test_the_key_is_of_the_content(sdxl: Path, tmp_path: Path) -> None:
    """A LoRA may move and keep its cells; another LoRA of the same name makes other cells."""

    def key(file: Path) -> str:
        name = str(file)
        fixed = {"model": "tested", "lora": name, "width": 64, "height": 64}
        plan = make_plan(
            (),
            fixed,
            defaults={"tested": {}},
            identities={"tested": "0" * 64},
            contents={name: checks.content("lora", name)},
        )
        return plan.cells[0].key

    layers = loras.pairs(sdxl)
    (tmp_path / "there").mkdir()
    here, there = loras.kohya(layers, tmp_path), loras.kohya(layers, tmp_path / "there")
    assert key(here) == key(there)
    before = key(here)
    loras.kohya({name: (down * 2, up) for name, (down, up) in layers.items()}, tmp_path)
    assert key(here) != before


def test_what_does_not_fit_is_refused_before_the_model_is_loaded(
    sdxl: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(name="tested", id=str(sdxl))
    info = inspect(spec)
    other = loras.kohya(loras.pairs(tiny_model), tmp_path)
    with pytest.raises(ModelError, match=r"text width of 32, and that of tested is 72"):
        checks.check_lora(str(other), spec, info)
    deep = {"down_blocks.7.attentions.0.to_q": loras.pairs(sdxl).popitem()[1]}
    with pytest.raises(ModelError, match=r"has down_blocks_7_.*does not fit"):
        checks.check_lora(str(loras.kohya(deep, tmp_path)), spec, info)
    with pytest.raises(ModelError, match="no LoRA tensors"):
        unet = tiny_model / "unet" / "diffusion_pytorch_model.safetensors"
        checks.check_lora(str(unet), spec, info)
    with pytest.raises(ModelError, match="pickle can run any code"):
        checks.check_lora(str(loras.lightning(loras.pairs(sdxl), tmp_path)), spec, info)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x10\0\0\0\0\0\0\0not JSON")
    with pytest.raises(ModelError, match=r"not an intact \.safetensors"):
        checks.check_lora(str(broken), spec, info)
    with pytest.raises(ModelError, match="no file or folder"):
        checks.check_lora(str(tmp_path / "nowhere.safetensors"), spec, info)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install peft"):
        checks.check_lora(str(other), spec, info)


def test_a_lora_for_another_kind_of_denoiser_is_refused(
    sdxl: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """A UNet's on a transformer, the other way round, and a transformer's on another one."""
    sd3, flux = families.sd3(tmp_path / "sd3"), families.flux(tmp_path / "flux")

    def refusal(file: Path, folder: Path) -> str:
        spec = ModelSpec(name="tested", id=str(folder))
        with pytest.raises(ModelError) as caught:
            checks.check_lora(str(file), spec, inspect(spec))
        return str(caught.value)

    of_unet = loras.kohya(loras.pairs(tiny_model), tmp_path)
    assert "made for a unet, and tested has a transformer" in refusal(of_unet, flux)
    layers = loras.pairs(sd3, diffusers.SD3Transformer2DModel, "transformer")
    of_sd3 = loras.diffusers_format(layers, tmp_path, "transformer")
    assert "made for a transformer, and tested has a unet" in refusal(of_sd3, sdxl)
    assert "does not fit" in refusal(of_sd3, flux)
    spec = ModelSpec(name="tested", id=str(sd3))
    checks.check_lora(str(of_sd3), spec, inspect(spec))


def test_stable_diffusion_one_with_its_text_encoder(tmp_path: Path) -> None:
    """kohya's files train the text encoder too; encodings of two scales must not be mixed up."""
    folder = tiny.stable_diffusion(tmp_path / "sd1")
    file = loras.with_text_encoder(loras.kohya(loras.pairs(folder), tmp_path), layers=2, width=32)
    recipes = [recipe(lora=str(file), lora_scale=scale) for scale in SCALES]
    made, _ = sweep(folder, recipes)
    reference = Reference(folder)
    reference.wear(file)
    for ours, scale in zip(made, SCALES, strict=True):
        assert furthest(ours, reference.image(recipe(), lora_scale=scale)) <= 1
    assert furthest(made[1], made[2]) > 8
