"""Writes the shipped folder: the pipeline, the tiny autoencoder, CLIP, all in float16."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    PNDMScheduler,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

from experiments.miniature import tokens
from experiments.miniature.clip import DEVIATION, MEAN, text_encoder
from experiments.miniature.unet import SCHEDULE
from experiments.miniature.world import SIZE

LIMIT = 20_000_000  # bytes, the whole folder


def halved(model: nn.Module) -> nn.Module:
    """The model in float16, for saving."""
    return model.eval().to(torch.float16)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def image_processor() -> CLIPImageProcessor:
    """CLIP's, for pictures of the miniature's size."""
    return CLIPImageProcessor(
        size={"shortest_edge": SIZE},
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=list(MEAN),
        image_std=list(DEVIATION),
    )


def load_as_float32(config: Path) -> None:
    """Weights stay float16 on disk; without a dtype asked for, transformers then loads float32,

    as diffusers does with the other parts.
    """
    settings = json.loads(config.read_text("utf-8"))
    for part in (settings, settings.get("text_config", {}), settings.get("vision_config", {})):
        if "dtype" in part:
            part["dtype"] = "float32"
    config.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def forget_place(config: Path) -> None:
    """Leaves out where the weights were read from: a folder of the machine that made them."""
    settings = json.loads(config.read_text("utf-8"))
    if settings.pop("_name_or_path", None) is not None:
        config.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def leave_spacing_open(config: Path) -> None:
    """Each sampler then spaces its timesteps by its own default, as with Stable Diffusion 1's file.

    PNDM's `leading`, which saving writes down, would have DPM++ and UniPC start at timestep 901 of
    1000 when they are given 100 steps.
    """
    settings = json.loads(config.read_text("utf-8"))
    settings.pop("timestep_spacing", None)
    config.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def name_as_published(weights: Path) -> None:
    """Names the text encoder's weights as Stable Diffusion's files do, which every release reads.

    transformers 5 leaves `text_model.` out when it saves, and reads both; 4 reads only this one.
    """
    kept = ("text_model.", "text_projection.")
    named = {
        name if name.startswith(kept) else f"text_model.{name}": weight
        for name, weight in load_file(weights).items()
    }
    save_file(named, weights, metadata={"format": "pt"})


def write_folder(
    folder: Path,
    tokenizer: CLIPTokenizer,
    clip: CLIPModel,
    vae: AutoencoderKL,
    tiny: AutoencoderTiny,
    unet: UNet2DConditionModel,
    prediction: str,
) -> int:
    """Writes the folder aside, swaps it in, keeps what is not a model; returns its bytes.

    `prediction` is what the UNet predicts, as schedulers name it.
    """
    scheduler = PNDMScheduler(
        **SCHEDULE,
        prediction_type=prediction,
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    scheduler.register_to_config(clip_sample=False)  # for samplers that read it, as in SD 1
    pipeline = StableDiffusionPipeline(
        vae=halved(vae),
        text_encoder=halved(text_encoder(clip)),
        tokenizer=tokenizer,
        unet=halved(unet),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    aside = emptied(folder)
    pipeline.save_pretrained(aside, safe_serialization=True)
    halved(tiny).save_pretrained(aside / "vae_tiny", safe_serialization=True)
    halved(clip).save_pretrained(aside / "clip", safe_serialization=True)
    image_processor().save_pretrained(aside / "clip")
    leave_spacing_open(aside / "scheduler" / "scheduler_config.json")
    return swap_in(aside, folder)


def write_flow_folder(
    folder: Path, pipeline: StableDiffusion3Pipeline, tiny: AutoencoderTiny
) -> int:
    """As `write_folder`, of the flow-matching miniature; its parts are halved in place."""
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            halved(part)
    aside = emptied(folder)
    pipeline.save_pretrained(aside, safe_serialization=True)
    halved(tiny).save_pretrained(aside / "vae_tiny", safe_serialization=True)
    return swap_in(aside, folder)


def emptied(folder: Path) -> Path:
    """A new folder beside `folder`, to write into."""
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    return aside


def swap_in(aside: Path, folder: Path) -> int:
    """Puts what was written aside in its place, in the forms that every release of the libraries
    reads; returns the bytes of all. AssertionError if they are too many.
    """
    for tokenizer in (aside / "tokenizer", aside / "tokenizer_2"):
        if tokenizer.exists():
            tokens.build(tokenizer)  # vocab.json and merges.txt beside tokenizer.json
    for encoder in (aside / "text_encoder", aside / "text_encoder_2"):
        if encoder.exists():
            name_as_published(encoder / "model.safetensors")
    for path in aside.rglob("*.safetensors"):
        path.chmod(0o644)
    for config in aside.rglob("config.json"):
        forget_place(config)
    for part in [*aside.glob("text_encoder*"), *aside.glob("clip")]:
        load_as_float32(part / "config.json")
    folder.mkdir(parents=True, exist_ok=True)
    for made in aside.iterdir():
        old = folder / made.name
        if old.is_dir():
            shutil.rmtree(old)
        made.replace(old)
    aside.rmdir()
    size = size_of(folder)
    assert size < LIMIT, f"{folder} has {size} bytes, over {LIMIT}"
    return size
