"""Engine options change how a picture is computed, and not what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo
from diffusers import AutoencoderKL, UNet2DConditionModel

from sdviz import models
from sdviz.errors import ConfigErrors
from sdviz.events import Note
from sdviz.models.files.places import MINIATURE
from sdviz.models.hardware import options
from sdviz.plan.config import EngineConfig, ModelSpec
from sdviz.request.compose import prepare
from tests import families
from tests.engine.sweeping import in_cells, of_type, pictures, sweep
from tests.settings.making import apart, made, recipe


@pytest.mark.parametrize("option", ["attention_slicing", "channels_last"])
def test_an_option_leaves_the_picture_as_it_is(option: str, tiny_model: Path) -> None:
    one = recipe(seed=3)
    options = EngineConfig(batch=4, **{option: True})
    told = sweep(in_cells([one]), folder=tiny_model, engine=options)
    assert apart(pictures(told)[0], made([one], tiny_model)[0]) <= 1


@pytest.mark.skipif(not MINIATURE.exists(), reason="the miniature is not there")
def test_attention_of_a_single_head_is_left_whole() -> None:
    """As the miniature's: half a head at a time would be none."""
    cells = in_cells([recipe(steps=1)])
    sliced, whole = (
        pictures(sweep(cells, spec=ModelSpec(), engine=EngineConfig(attention_slicing=option)))
        for option in (True, False)
    )
    assert apart(sliced[0], whole[0]) <= 1


def test_compiling_without_a_compiler_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"model={tiny_model}", "engine.compile=true", "device=cpu", "visdom=off"]
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigErrors, match=r"engine\.compile=true: needs a C\+\+ compiler"):
        prepare([*words, f"outputs={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


def test_a_compiler_that_does_not_start_is_none(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    words = [f"model={tiny_model}", "engine.compile=true", "device=cpu", "visdom=off"]
    with pytest.raises(ConfigErrors, match=r"engine\.compile=true: needs a C\+\+ compiler"):
        prepare([*words, f"outputs={tmp_path / 'out'}"])


@pytest.mark.parametrize("kind", ["auto", "other"])  # in the batch, and as a whole pipeline
def test_what_cannot_be_compiled_is_computed_without(kind: str, tiny_model: Path) -> None:
    def load(*given: Any, **more: Any) -> Any:
        model: Any = models.load(*given, **more)

        def fail(*_: Any, **__: Any) -> None:
            raise torch._dynamo.exc.TorchDynamoException("no header\nand more")

        model.unet._compiled_call_impl = fail
        return model

    one = recipe(seed=3)
    spec = ModelSpec(name="tested", id=str(tiny_model), kind=kind)
    told = sweep(in_cells([one]), spec=spec, load=load)
    (note,) = [note.text for note in of_type(told, Note) if note.kind == "options"]
    assert note.startswith("engine.compile: ") and "no header; continuing without it" in note
    (pixels,) = pictures(told).values()
    assert apart(pixels, made([one], tiny_model)[0]) <= 1


@pytest.mark.parametrize("make", [families.sd3, families.flux])
def test_a_whole_pipeline_takes_what_it_has(make: Any, tmp_path: Path) -> None:
    """Transformers have no attention slicing of this kind; that is told, and the rest is done."""
    folder = make(tmp_path / "model")
    cells = in_cells([recipe(sampler="Euler", steps=1)])
    options = EngineConfig(attention_slicing=True, vae_tiling=True, channels_last=True)
    told = sweep(cells, folder=folder, engine=options)
    notes = [note.text for note in of_type(told, Note) if note.kind == "options"]
    assert len(notes) == 1 and notes[0].startswith("no engine.attention_slicing: ")
    assert list(pictures(told)) == [0]


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
    cells = in_cells([recipe(vae=vae, steps=1) for vae in ("", str(tiny_model / "vae"))])
    told = sweep(cells, folder=tiny_model, engine=EngineConfig(vae_tiling=True))
    assert len(pictures(told)) == 2
    assert len(set(map(id, seen))) == 2
