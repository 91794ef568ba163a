"""LoRAs on Stable Diffusion 3 and Flux in one file: diffusers' format, and kohya's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.addons import checks
from sdviz.models.addons.fitting import Fitting
from sdviz.models.families.whole_pipeline import WholePipeline
from sdviz.plan.config import ModelSpec
from tests.engine.sweeping import pictures, sweep
from tests.models import loras, original
from tests.models.forms import CLASSES, FORMS, WHOLE, Tensors, cells, kind, of_diffusers, saved
from tests.parity.test_families import most_different

pytestmark = pytest.mark.usefixtures("own_hub")


CLIPS = {"sd3": ["l", "g"], "flux": ["l"]}
KOHYAS = {
    WHOLE: "lora_unet_",
    "text_encoders.clip_l.transformer.": "lora_te1_",
    "text_encoders.clip_g.transformer.": "lora_te2_",
}


def kohyas(tensors: Tensors, file: Path) -> Tensors:
    """A LoRA in kohya's format for every matrix of every block; `tensors` with it merged in."""
    generator, rank, alpha = torch.Generator().manual_seed(8), 4, 2.0
    halves, merged = {}, dict(tensors)
    for name, weight in tensors.items():
        found = re.fullmatch(r"(.*?)(\w+_blocks\..*|text_model\.encoder\..*)\.weight", name)
        if found is None or found[1] not in KOHYAS or weight.ndim != 2:
            continue
        down = torch.randn(rank, weight.shape[1], generator=generator) * 0.2
        up = torch.randn(weight.shape[0], rank, generator=generator) * 0.2
        key = KOHYAS[found[1]] + found[2].replace(".", "_")
        halves |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up,
                   f"{key}.alpha": torch.tensor(alpha)}  # fmt: skip
        merged[name] = weight + alpha / rank * up @ down
    save_file(halves, file)
    return merged


@pytest.mark.parametrize("family", ["sd3", "sd35", "schnell"])
def test_kohyas_loras_do_what_merging_them_does(
    family: str, flows: Callable[[str], Path], tmp_path: Path
) -> None:
    """Fused matrices, the last block's modulations and the text encoders' layers among them."""
    folder, lora = flows(family), tmp_path / "kohya.safetensors"
    plain = original.checkpoint(kind(family), folder, has=CLIPS[kind(family)], prefix=WHOLE)
    for content, name in ((plain, "plain"), (kohyas(plain, lora), "merged")):
        save_file(content, tmp_path / f"{name}.safetensors")
    base = str(folder)
    file = ModelSpec(name="tested", id=str(tmp_path / "plain.safetensors"), base=base)
    merged = ModelSpec(name="tested", id=str(tmp_path / "merged.safetensors"), base=base)
    without, expected = pictures(sweep(cells(), spec=file)), pictures(sweep(cells(), spec=merged))
    for spec in (file, ModelSpec(name="tested", id=base)):
        checks.check_lora(str(lora), spec, models.inspect(spec))
        assert most_different(pictures(sweep(cells(lora=str(lora)), spec=spec)), expected) <= 1
    off = pictures(sweep(cells(lora=str(lora), lora_scale=0.0), spec=file))
    assert most_different(off, without) == 0 and most_different(without, expected) > 8


@pytest.mark.parametrize("family", ["sd35", "dev"])
def test_a_lora_on_a_file_at_every_scale(
    family: str, flows: Callable[[str], Path], tmp_path: Path
) -> None:
    """In diffusers' format, against its own pipeline over the folder."""
    form = next(form for form in FORMS.values() if form.family == family)
    folder = flows(family)
    cls = getattr(diffusers, CLASSES[kind(family)])
    lora = loras.diffusers_format(loras.pairs(folder, cls, "transformer"), tmp_path, "transformer")
    file = saved(form, folder, tmp_path / "file.safetensors")
    spec = ModelSpec(name="tested", id=str(file), base=str(folder))
    checks.check_lora(str(lora), spec, models.inspect(spec))
    for scale in (0.0, 0.5, 1.0):
        made = pictures(sweep(cells(lora=str(lora), lora_scale=scale), spec=spec))
        assert most_different(made, of_diffusers(form, folder, lora, scale)) <= 1, scale


def test_a_lora_leaves_the_precision_of_t5(flows: Callable[[str], Path], tmp_path: Path) -> None:
    """In float16 its widest layers are in float32, where they would overflow."""
    folder = flows("dev")
    lora = loras.diffusers_format(
        loras.pairs(folder, diffusers.FluxTransformer2DModel, "transformer"),
        tmp_path,
        "transformer",
    )
    spec = ModelSpec(name="tested", id=str(folder))
    model = models.load(spec, dtype="float16")
    assert isinstance(model, WholePipeline)
    Fitting(model, spec).fit(cells(lora=str(lora))[0].recipe)
    kept = {
        weight.dtype
        for name, weight in model.pipeline.text_encoder_2.named_parameters()
        if name.endswith(".wo.weight")
    }
    assert kept == {torch.float32}
    adapted = [w for name, w in model.pipeline.transformer.named_parameters() if "lora_" in name]
    assert {weight.dtype for weight in adapted} == {torch.float16}


def test_loras_that_do_not_fit_a_file_are_refused(
    flows: Callable[[str], Path], tmp_path: Path
) -> None:
    file = saved(FORMS["flux1-dev"], flows("dev"), tmp_path / "flux.safetensors")
    spec = ModelSpec(name="tested", id=str(file), base=str(flows("dev")))
    lora = tmp_path / "lora.safetensors"

    def refused(words: str) -> None:
        with pytest.raises(ModelError, match=words):
            checks.check_lora(str(lora), spec, models.inspect(spec))

    kohyas(original.checkpoint("sd3", flows("sd3"), has=[], prefix=WHOLE), lora)
    refused("takes 32 values, but 64 in tested; it does not fit")
    name = "lora_unet_double_blocks_7_img_attn_qkv"
    halves = {
        f"{name}.lora_down.weight": torch.zeros(4, 64),
        f"{name}.lora_up.weight": torch.zeros(192, 4),
    }
    save_file(halves, lora)
    refused(r"has transformer_blocks.7.attn.to_q, which tested does not have; it does not fit")
    third = "lora_te3_encoder_block_0.lora"
    more = {f"{third}_down.weight": torch.zeros(4, 192), f"{third}_up.weight": torch.zeros(9, 4)}
    save_file({**halves, **more}, lora)
    refused(r"has lora_te3_encoder_block_0\..*, which tested does not support")
    save_file({**halves, f"{name}.dora_scale": torch.zeros(1)}, lora)
    refused("a DoRA .*dora_scale.*, which sdviz cannot apply")
    layer = "transformer.transformer_blocks.0.attn.to_q"
    save_file(
        {
            f"{layer}.lora_A.weight": torch.zeros(4, 64),
            f"{layer}.lora_B.weight": torch.zeros(64, 4),
            f"{layer}.dora_scale": torch.ones(1),
        },
        lora,
    )
    refused("a DoRA .*dora_scale.*, which sdviz cannot apply")
