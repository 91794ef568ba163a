"""Trains and writes the flow-matching miniature; stopped, it goes on where it was.

The miniature must be there: its latents, its autoencoder and its text encoder serve both.

python -m experiments.miniature.run_flow
python -m experiments.miniature.run_flow work=outputs/try flow.budget.steps=500
"""

from __future__ import annotations

import copy
import logging
import random
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3Pipeline,
)
from transformers import CLIPModel, CLIPTokenizer

from experiments.miniature import autoencoder, data, export, workers
from experiments.miniature.captions import full
from experiments.miniature.command import command
from experiments.miniature.flow import (
    Flow,
    as_shipped,
    first_encoder,
    second_encoder,
    silent_t5,
    train_flow,
)
from experiments.miniature.live import Live
from experiments.miniature.run import write_record
from experiments.miniature.training import Budget
from experiments.miniature.world import measured_scene

log = logging.getLogger(__name__)


def pipeline_of(
    flow: Flow, clip: CLIPModel, tokenizer: CLIPTokenizer, vae: AutoencoderKL, shift: float
) -> StableDiffusion3Pipeline:
    """diffusers' pipeline of the parts as they are; `flow` and `vae` are not changed."""
    flow, vae = copy.deepcopy(flow), copy.deepcopy(vae)
    t5, t5_tokenizer = silent_t5(flow.transformer.config.joint_attention_dim)
    vae.register_to_config(shift_factor=0.0)
    pipeline = StableDiffusion3Pipeline(
        transformer=as_shipped(flow),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        vae=vae,
        text_encoder=first_encoder(clip),
        tokenizer=tokenizer,
        text_encoder_2=flow.second.eval(),
        tokenizer_2=tokenizer,
        text_encoder_3=t5,
        tokenizer_3=t5_tokenizer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def make(settings: dict) -> None:
    """Trains what is left to train, and writes the folder."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    workers.join()
    workers.seed(settings["seed"])
    work = Path(settings["work"])
    with nullcontext() if settings["peek"] else workers.alone(work, "flow"):
        make_flow(settings, work, Live(**settings["visdom"]))


def make_flow(settings: dict, work: Path, live: Live) -> None:
    """The one stage, from the miniature in `start`, or in `out` if none is named."""
    asked, start = settings["flow"], Path(settings["start"] or settings["out"])
    vae = AutoencoderKL.from_pretrained(start / "vae").eval()
    clip = CLIPModel.from_pretrained(start / "clip")
    clip.set_attn_implementation("eager")
    tokenizer = CLIPTokenizer.from_pretrained(start / "tokenizer")
    first = first_encoder(clip)
    torch.manual_seed(settings["seed"])
    second = second_encoder(tokenizer, **asked["second"])
    flow = Flow(first, second, asked["layers"], asked["heads"], asked["head"])
    latents = data.draw_latents(work, settings["unet"]["pictures"], vae)
    rng = random.Random("samples")
    prompts = [full(measured_scene(rng)) for _ in range(16)]

    @torch.no_grad()
    def sample(flow: Flow) -> np.ndarray:
        pipeline = pipeline_of(flow, clip, tokenizer, vae, asked["shift"])
        generators = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
        with torch.autocast("cpu", torch.bfloat16):
            images = pipeline(
                prompts,
                num_inference_steps=16,
                guidance_scale=4.0,
                generator=generators,
                output_type="pt",
            ).images
        pictures = autoencoder.to_pictures(images * 2 - 1)
        data.write_sheet(work / "samples_flow.png", pictures, 8)
        return pictures

    budget = Budget(**asked["budget"], peek=settings["peek"])
    scale = vae.config.scaling_factor
    drop = asked["drop"]
    stage = train_flow(flow, first, tokenizer, latents, scale, drop, budget, work, live, sample)
    if workers.rank():
        return
    folder = Path(asked["out"])
    best = stage.best
    assert isinstance(best, Flow)
    parts = {"text": first, "second text": best.second, "transformer": best.transformer, "vae": vae}
    pipeline = pipeline_of(best, clip, tokenizer, vae, asked["shift"])
    tiny = AutoencoderTiny.from_pretrained(start / "vae_tiny")
    parts |= {"t5": pipeline.text_encoder_3, "tiny": tiny}
    sizes = {name: autoencoder.parameters(part) for name, part in parts.items()}
    size = export.write_flow_folder(folder, pipeline, tiny)
    log.info("%s: %.2f MB", folder, size / 1e6)
    kept = {name: settings[name] for name in ("threads", "seed", "measure")}
    how = {k: v for k, v in asked.items() if k != "out"}
    kept |= {"flow": how, "pictures": settings["unet"]["pictures"]}
    write_record(folder, {}, kept, scale, sizes, [stage])


if __name__ == "__main__":
    command(make)()
