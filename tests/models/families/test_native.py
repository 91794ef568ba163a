"""Models that none of the table's samplers fits: run by the scheduler that they were published
with, and equal to diffusers' own pipeline.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from transformers import Gemma2Config, Gemma2Model, T5Config, T5EncoderModel

from sdviz import models
from sdviz.errors import ConfigErrors
from sdviz.plan.config import ModelSpec, PreviewConfig
from sdviz.plan.settings import Recipe
from tests import families, tiny
from tests.engine import sweeping
from tests.engine.sweeping import cells_of, pictures, sweep
from tests.parity.test_families import most_different
from tests.reading import reader


def with_scheduler(folder: Path, scheduler: Any) -> Path:
    """The model, with another scheduler in its folder and its index."""
    scheduler.save_pretrained(folder / "scheduler")
    index = folder / "model_index.json"
    entries = json.loads(index.read_text())
    entries["scheduler"] = ["diffusers", type(scheduler).__name__]
    index.write_text(json.dumps(entries))
    return folder


def playground(folder: Path) -> Path:
    """A Stable Diffusion XL that was trained with EDM's noise levels."""
    edm = diffusers.EDMDPMSolverMultistepScheduler(sigma_data=0.5, sigma_min=0.002, sigma_max=80.0)
    return with_scheduler(families.sdxl(folder), edm)


def edm_euler(folder: Path) -> Path:
    return with_scheduler(
        families.sdxl(folder), diffusers.EDMEulerScheduler(prediction_type="v_prediction")
    )


def flow_xl(folder: Path) -> Path:
    """A Stable Diffusion XL that was trained by flow matching, with a solver of flow sigmas."""
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0
    )
    return with_scheduler(families.sdxl(folder), scheduler)


def lcm(folder: Path) -> Path:
    """A Stable Diffusion 1 whose UNet takes the CFG scale."""
    made = tiny.stable_diffusion(folder)
    unet = diffusers.UNet2DConditionModel.from_config(
        {**diffusers.UNet2DConditionModel.load_config(made / "unet"), "time_cond_proj_dim": 32}
    )
    tiny.liven(unet)
    unet.save_pretrained(made / "unet")
    index = made / "model_index.json"
    entries = {**json.loads(index.read_text()), "_class_name": "LatentConsistencyModelPipeline"}
    index.write_text(json.dumps(entries))
    return with_scheduler(made, diffusers.LCMScheduler.from_config(tiny.SCHEDULER))


def deepfloyd(folder: Path) -> Path:
    """An IF, which denoises pixels and learns its variance."""
    torch.manual_seed(5)
    pieces = families.t5_tokenizer()
    t5 = T5Config(vocab_size=len(pieces), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    unet = diffusers.UNet2DConditionModel(
        sample_size=32, layers_per_block=1, block_out_channels=(32, 64),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        in_channels=3, out_channels=6, cross_attention_dim=32, encoder_hid_dim=32,
        attention_head_dim=8, addition_embed_type="text", addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm", resnet_time_scale_shift="scale_shift", act_fn="gelu",
    )  # fmt: skip
    diffusers.IFPipeline(
        text_encoder=T5EncoderModel(t5), tokenizer=pieces, unet=unet,
        scheduler=diffusers.DDPMScheduler(
            beta_schedule="squaredcos_cap_v2", variance_type="learned_range", thresholding=True,
            dynamic_thresholding_ratio=0.95, sample_max_value=1.0, prediction_type="epsilon",
        ),
        safety_checker=None, feature_extractor=None, watermarker=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def sana_sprint(folder: Path) -> Path:
    """A Sana Sprint, whose autoencoder halves three times and whose bins are of 1024 pixels."""
    torch.manual_seed(6)
    pieces = families.t5_tokenizer()
    levels = 4
    text = Gemma2Config(
        head_dim=8,
        hidden_size=16,
        intermediate_size=32,
        num_attention_heads=2,
        num_hidden_layers=1,
        num_key_value_heads=2,
        vocab_size=len(pieces),
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=1,
        attn_implementation="eager",
    )
    sides = {}
    for side in ("encoder", "decoder"):
        sides |= {
            f"{side}_block_types": ("ResBlock",) * levels,
            f"{side}_layers_per_block": (1,) * levels,
            f"{side}_block_out_channels": (8,) * levels,
            f"{side}_qkv_multiscales": ((),) * levels,
        }
    diffusers.SanaSprintPipeline(
        transformer=diffusers.SanaTransformer2DModel(
            patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2,
            attention_head_dim=4, num_cross_attention_heads=2, cross_attention_head_dim=4,
            cross_attention_dim=8, caption_channels=16, sample_size=32,
            qk_norm="rms_norm_across_heads", guidance_embeds=True,
        ),
        vae=diffusers.AutoencoderDC(
            latent_channels=4, attention_head_dim=2, scaling_factor=0.41407, **sides
        ),
        text_encoder=Gemma2Model(text), tokenizer=pieces, scheduler=diffusers.SCMScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


# How each is made, its default sampler, its native width, and what its own pipeline wants beside.
MODELS: dict[str, tuple[Callable[[Path], Path], str, int, dict[str, Any]]] = {
    "playground": (playground, "Native", 64, {}),
    "edm_euler": (edm_euler, "Native", 64, {}),
    "flow_xl": (flow_xl, "Native", 64, {}),
    "lcm": (lcm, "LCM", 64, {"safety_checker": None}),
    "sana_sprint": (sana_sprint, "Native", 256, {}),
    "deepfloyd": (deepfloyd, "Native", 32, {"safety_checker": None}),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_runs_as_it_was_published(name: str, tmp_path: Path) -> None:
    make, sampler, width, without = MODELS[name]
    folder = make(tmp_path / name)
    plan = reader(folder, tmp_path)(steps=4, cfg=3, prompt="a cat", seed=1, reference=0).plan
    recipe = plan.cells[0].recipe
    assert (recipe.sampler, recipe.width, recipe.height) == (sampler, width, width)

    steps = 2 if name == "sana_sprint" else 4  # at others diffusers wants an argument
    size = {"width": width, "height": width, "sampler": sampler, "steps": steps}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **without)
    pipeline.set_progress_bar_config(disable=True)
    cells = cells_of(size, {**size, "seed": 2})
    expected = {cell.index: of_pipeline(pipeline, cell.recipe) for cell in cells}
    preview = PreviewConfig(decoder="vae")
    made = pictures(sweep(cells, folder=folder, preview=preview))
    assert most_different(made, expected) <= 1
    assert most_different({0: made[0]}, {0: made[1]}) > 0


def of_pipeline(pipeline: Any, recipe: Recipe) -> Any:
    return np.asarray(sweeping.by_pipeline(pipeline, recipe))


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("playground", "euler", "supports only Native; use sampler=Native"),
        ("lcm", "euler", "supports only LCM; use sampler=LCM"),
        ("deepfloyd", "ddim", "supports only Native"),
    ],
)
def test_other_samplers_are_refused(name: str, asked: str, told: str, tmp_path: Path) -> None:
    folder = MODELS[name][0](tmp_path / name)
    with pytest.raises(ConfigErrors, match=told):
        reader(folder, tmp_path)(sampler=asked, reference=0)


def test_the_table_stands_for_batched_models(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"sampler=Native: .* supports sdviz's samplers"):
        reader(tiny_model, tmp_path)(sampler="native")


def test_flow_matching_takes_native_too(tmp_path: Path) -> None:
    folder = families.sd3(tmp_path / "sd3")
    spec = ModelSpec(name="tested", id=str(folder))
    assert models.inspect(spec).samplers == ("Euler", "Heun", "Native")
    cells = cells_of({"sampler": "Euler"}, {"sampler": "Native"})
    made = pictures(sweep(cells, spec=spec))
    assert most_different({0: made[0]}, {0: made[1]}) == 0


@pytest.mark.parametrize("made", ["AutoencoderTiny", "AsymmetricAutoencoderKL"])
def test_another_autoencoder_runs_in_diffusers_pipeline(made: str, tmp_path: Path) -> None:
    """The engine's own loop decodes by an AutoencoderKL alone."""
    folder = tiny.stable_diffusion(tmp_path / "model")
    torch.manual_seed(3)
    if made == "AutoencoderTiny":
        blocks = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
        vae: Any = diffusers.AutoencoderTiny(**blocks)
    else:
        sides = {f"{side}_block_out_channels": (16, 16) for side in ("down", "up")}
        vae = diffusers.AsymmetricAutoencoderKL(
            **sides, down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=8,
        )  # fmt: skip
    shutil.rmtree(folder / "vae")
    vae.save_pretrained(folder / "vae")
    index = folder / "model_index.json"
    entries = {**json.loads(index.read_text()), "vae": ["diffusers", made]}
    index.write_text(json.dumps(entries))
    spec = ModelSpec(name="tested", id=str(folder))
    side = 64 if made == "AutoencoderTiny" else 16
    info = models.inspect(spec)
    assert (info.is_batched, info.native_width) == (False, side)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    (cell,) = cells_of({"sampler": "Native", "steps": 3, "width": side, "height": side})
    expected = {0: of_pipeline(pipeline, cell.recipe)}
    assert most_different(pictures(sweep([cell], spec=spec)), expected) <= 1
