"""Engine options change how a picture is computed, and not what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from sdviz import engine
from sdviz.compose import prepare
from sdviz.config import Config, EngineConfig, ModelSpec, PreviewConfig
from sdviz.errors import ConfigErrors
from sdviz.events import CellFinished, Note
from sdviz.models import options
from sdviz.models.places import MINIATURE
from sdviz.plan import Cell, Plan
from tests import families
from tests.settings.making import apart, made, recipe


@pytest.mark.parametrize("option", ["attention_slicing", "channels_last"])
def test_an_option_leaves_the_picture_as_it_is(option: str, tiny_model: Path) -> None:
    one = recipe(seed=3)
    told: list[Any] = []
    config = Config(
        device="cpu",
        models={"t": ModelSpec(name="t", id=str(tiny_model))},
        engine=EngineConfig(batch=4, **{option: True}),
        preview=PreviewConfig(decoder="none"),
    )
    cells = [Cell(0, (), one, "0")]
    engine.run(cells, plan=Plan((), cells), config=config, emit=told.append)
    (pixels,) = [event.pixels for event in told if isinstance(event, CellFinished)]
    assert apart(pixels, made([one], tiny_model)[0]) <= 1


@pytest.mark.skipif(not MINIATURE.exists(), reason="the miniature is not there")
def test_attention_of_a_single_head_is_left_whole() -> None:
    """As the miniature's: half a head at a time would be none."""
    recipes = [recipe(model="miniature", steps=1)]
    cells = [Cell(0, (), recipes[0], "0")]
    told: list[Any] = []
    for option in (True, False):
        config = Config(
            device="cpu",
            models={"miniature": ModelSpec()},
            engine=EngineConfig(batch=4, attention_slicing=option),
            preview=PreviewConfig(decoder="none"),
        )
        engine.run(cells, plan=Plan((), cells), config=config, emit=told.append)
    sliced, whole = [event.pixels for event in told if isinstance(event, CellFinished)]
    assert apart(sliced, whole) <= 1


def test_compiling_without_a_compiler_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"model={tiny_model}", "engine.compile=true", "device=cpu", "visdom=off"]
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigErrors, match=r"engine\.compile=true: needs a C\+\+ compiler"):
        prepare([*words, f"outputs={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [families.sd3, families.flux])
def test_a_whole_pipeline_takes_what_it_has(make: Any, tmp_path: Path) -> None:
    """Transformers have no attention slicing of this kind; that is told, and the rest is done."""
    folder = make(tmp_path / "model")
    cells = [Cell(0, (), recipe(sampler="Euler", steps=1), "0")]
    told: list[Any] = []
    config = Config(
        device="cpu",
        models={"t": ModelSpec(name="t", id=str(folder))},
        engine=EngineConfig(attention_slicing=True, vae_tiling=True, channels_last=True),
        preview=PreviewConfig(decoder="none"),
    )
    engine.run(cells, plan=Plan((), cells), config=config, emit=told.append)
    notes = [event.text for event in told if isinstance(event, Note) and event.kind == "options"]
    assert len(notes) == 1 and notes[0].startswith("no engine.attention_slicing: ")
    assert [event.cell for event in told if isinstance(event, CellFinished)] == [0]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_options_reach_the_parts_of_the_model(tiny_model: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(tiny_model, subfolder="unet")
    vae = AutoencoderKL.from_pretrained(tiny_model, subfolder="vae")
    options.apply(
        EngineConfig(attention_slicing=True, vae_tiling=True, channels_last=True, compile=True),
        unet=unet,
        vae=vae,
    )
    assert vae.use_tiling
    assert unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert {type(one).__name__ for one in unet.attn_processors.values()} == {"SlicedAttnProcessor"}
    assert unet._compiled_call_impl is not None


def test_another_vae_is_tiled_as_well(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    enable = AutoencoderKL.enable_tiling
    monkeypatch.setattr(AutoencoderKL, "enable_tiling", lambda vae: (seen.append(vae), enable(vae)))
    cells = [
        Cell(i, (i,), recipe(vae=vae, steps=1), str(i))
        for i, vae in enumerate(("", str(tiny_model / "vae")))
    ]
    config = Config(
        device="cpu",
        models={"t": ModelSpec(name="t", id=str(tiny_model))},
        engine=EngineConfig(vae_tiling=True),
        preview=PreviewConfig(decoder="none"),
    )
    told: list[Any] = []
    engine.run(cells, plan=Plan((), cells), config=config, emit=told.append)
    assert len([event for event in told if isinstance(event, CellFinished)]) == 2
    assert len(set(map(id, seen))) == 2
