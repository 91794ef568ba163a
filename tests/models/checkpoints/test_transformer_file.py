"""Stable Diffusion 3 and Flux in one file, in every form that people have: swept, and equal to
diffusers' own pipeline over the folder that they were made of; what is missing is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.events import Note
from sdviz.models.hardware import room
from sdviz.plan.config import ModelSpec
from tests import families
from tests.engine.sweeping import of_type, pictures, sweep
from tests.models import hub, original
from tests.models.flows import t5
from tests.models.forms import FORMS, WHOLE, cells, of_diffusers, saved
from tests.parity.test_families import most_different

pytestmark = pytest.mark.usefixtures("own_hub")


@pytest.mark.parametrize("name", FORMS)
def test_a_file_is_the_model_that_it_was_made_of(
    name: str, flows: Callable[[str], Path], tmp_path: Path
) -> None:
    form = FORMS[name]
    folder = flows(form.family)
    file = saved(form, folder, tmp_path / f"{name}.safetensors")
    spec = ModelSpec(name="tested", id=str(file), base=str(folder) if form.base else "")
    events = sweep(cells(), spec=spec)
    expected = of_diffusers(form, folder)
    assert most_different(pictures(events), expected) <= 1
    assert most_different({0: expected[0]}, {0: expected[1]}) > 8
    assert any("without T5" in note.text for note in of_type(events, Note)) is not form.t5


def test_a_file_moves_and_keeps_its_cells(flows: Callable[[str], Path], tmp_path: Path) -> None:
    """And other parts beside it make other cells."""
    folder = flows("schnell")
    file = saved(FORMS["flux1-schnell"], folder, tmp_path / "a.safetensors")
    base = Path(shutil.copytree(folder, tmp_path / "base"))
    known = models.inspect(ModelSpec(name="a", id=str(file), base=str(base))).identity
    moved = file.rename(tmp_path / "b.safetensors")
    there = base.rename(tmp_path / "there")
    spec = ModelSpec(name="b", id=str(moved), base=str(there))
    assert models.inspect(spec).identity == known
    text = there / "text_encoder_2"
    shutil.copytree(flows("dev") / "vae", there / "vae", dirs_exist_ok=True)
    t5(9).save_pretrained(text)
    assert models.inspect(spec).identity != known


def test_the_base_may_be_in_the_hubs_cache(flows: Callable[[str], Path], tmp_path: Path) -> None:
    """And be there in part, without what denoises."""
    folder = flows("sd35")
    base = Path(shutil.copytree(folder, tmp_path / "base"))
    shutil.rmtree(base / "transformer")
    shutil.rmtree(base / "vae")
    hub.add(tmp_path / "hub", "tested/base", base)
    file = saved(FORMS["sd3.5_medium"], folder, tmp_path / "a.safetensors")
    spec = ModelSpec(name="tested", id=str(file), base="tested/base")
    form = FORMS["sd3.5_medium"]
    assert most_different(pictures(sweep(cells(), spec=spec)), of_diffusers(form, folder)) <= 1


@pytest.mark.parametrize("family", ["sd35", "dev"])
def test_diffusers_names_will_do(family: str, flows: Callable[[str], Path], tmp_path: Path) -> None:
    """What denoises, as its own folder has it; the rest is counted with it."""
    folder, file = flows(family), tmp_path / "file.safetensors"
    shutil.copy(folder / "transformer" / "diffusion_pytorch_model.safetensors", file)
    spec = ModelSpec(name="tested", id=str(file), base=str(folder))
    form = next(form for form in FORMS.values() if form.family == family)
    assert most_different(pictures(sweep(cells(), spec=spec)), of_diffusers(form, folder)) <= 1
    whole = ModelSpec(name="tested", id=str(folder))
    needed = [room.weights(one, models.inspect(one), "float32") for one in (spec, whole)]
    assert needed[0] == needed[1]


def test_numbers_of_one_byte_are_read(flows: Callable[[str], Path], tmp_path: Path) -> None:
    """As in files that are called fp8: the same model, rounded."""
    form, folder = FORMS["flux1-dev_all_in_one"], flows("dev")
    tensors = original.checkpoint("flux", folder, has=form.has.split(), prefix=form.prefix)
    small = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tensors.items()}
    save_file(small, tmp_path / "fp8.safetensors")
    save_file({name: tensor.float() for name, tensor in small.items()}, tmp_path / "as.safetensors")
    made = [
        pictures(sweep(cells(), spec=ModelSpec(name="tested", id=str(file), base=str(folder))))
        for file in (tmp_path / "fp8.safetensors", tmp_path / "as.safetensors")
    ]
    assert most_different(*made) == 0


def test_a_configuration_that_is_named_counts_for_more_than_the_shapes(
    flows: Callable[[str], Path], tmp_path: Path
) -> None:
    """Here of heads that shapes do not tell; its folder has the other parts, too."""
    folder = families.flux(tmp_path / "odd")  # heads of 16, a VAE of another number of groups
    tensors = original.checkpoint("flux", folder, has=["vae"], prefix=WHOLE)
    file = tmp_path / "odd.safetensors"
    save_file(tensors, file)
    with pytest.raises(ModelError, match=r"heads are 16 wide.*model\.config=<folder>"):
        models.inspect(ModelSpec(name="tested", id=str(file), base=str(folder)))
    spec = ModelSpec(name="tested", id=str(file), config=str(folder))
    expected = of_diffusers(FORMS["flux1-dev"], folder)
    assert most_different(pictures(sweep(cells(), spec=spec)), expected) <= 1


def refusal(file: Path, **spec: Any) -> str:
    with pytest.raises(ModelError) as caught:
        models.inspect(ModelSpec(name="tested", id=str(file), **spec))
    return str(caught.value)


def test_missing_parts_are_named_with_what_gives_them(
    flows: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sd3 = saved(FORMS["sd3_medium"], flows("sd3"), tmp_path / "sd3.safetensors")
    told = refusal(sd3)
    assert "sd3.safetensors is a Stable Diffusion 3 and lacks text_encoder, text_encoder_2" in told
    assert "text_encoder_3" not in told  # it can do without
    assert "model.base=<folder or hub id>" in told
    assert (
        "hf download stabilityai/stable-diffusion-3-medium-diffusers "
        '--include "model_index.json" --include "text_encoder/*" --include "text_encoder_2/*"'
    ) in told
    flux = saved(FORMS["flux1-dev"], flows("dev"), tmp_path / "flux.safetensors")
    lacks = "lacks vae, text_encoder, text_encoder_2, tokenizer_2"
    assert f"is a Flux and {lacks}; model.base=" in refusal(flux)
    told = refusal(flux, base="some/flux")
    assert "model.base=some/flux: some/flux is not here and not in the hub's cache" in told
    assert 'hf download some/flux --include "model_index.json" --include "vae/*"' in told
    poor = Path(shutil.copytree(flows("dev"), tmp_path / "poor"))
    shutil.rmtree(poor / "text_encoder_2")
    told = refusal(flux, base=str(poor))
    assert f"lacks text_encoder_2, and so does model.base={poor}" in told
    hub.use(tmp_path / "empty", monkeypatch)
    clips = saved(FORMS["sd3_medium_incl_clips"], flows("sd3"), tmp_path / "clips.safetensors")
    assert "hf download openai/clip-vit-large-patch14 vocab.json" in refusal(clips)


def test_parts_that_do_not_fit_are_refused(flows: Callable[[str], Path], tmp_path: Path) -> None:
    flux = saved(FORMS["flux1-dev"], flows("dev"), tmp_path / "flux.safetensors")
    told = refusal(flux, base=str(flows("sd3")))
    assert "holds a StableDiffusion3Pipeline, and tested is a Flux" in told
    other = Path(shutil.copytree(flows("dev"), tmp_path / "other"))
    config = other / "text_encoder_2" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "d_model": 24}))
    told = refusal(flux, base=str(other))
    config.write_text("[]")
    assert f"{config}: not a JSON object" in refusal(flux, base=str(other))
    assert f"text_encoder_2 of {other} does not fit: its d_model is 24" in told
    assert "flux.safetensors takes 192" in told


def test_other_models_by_such_names_are_refused(
    flows: Callable[[str], Path], tmp_path: Path
) -> None:
    base = str(flows("dev"))
    file = tmp_path / "file.safetensors"
    tensors = original.checkpoint("flux", flows("dev"), has=[], prefix="")
    scale = {"double_blocks.0.img_attn.qkv.scale_weight": torch.ones(1)}
    save_file(tensors | scale, file)
    told = refusal(file, base=base)
    assert (
        "qkv.scale_weight, which its model does not have; sdviz cannot read scaled or packed "
        "numbers" in told
    )
    scaled = {"text_encoders.t5xxl.transformer.shared.scale_weight": torch.ones(1)}
    save_file(original.checkpoint("flux", flows("dev"), has=[], prefix=WHOLE) | scaled, file)
    assert "t5xxl.transformer.shared.scale_weight, which" in refusal(file, base=base)
    wide = {"img_in.weight": tensors["img_in.weight"].repeat(1, 2)}
    save_file(tensors | wide, file)
    assert "takes 32 channels and gives 16: it needs a picture" in refusal(file, base=base)
    save_file({name: t for name, t in tensors.items() if "final_layer" not in name}, file)
    assert "a Flux that is incomplete: it lacks proj_out.weight; download it again" in refusal(file)
    save_file({name: t for name, t in tensors.items() if "1.img_mlp.0.weight" not in name}, file)
    assert "it lacks transformer_blocks.1.ff.net.0.proj.weight" in refusal(file)
    save_file({"distilled_guidance_layer.in_proj.bias": torch.ones(1)}, file)
    assert "looks like Chroma; other models must be folders" in refusal(file)
