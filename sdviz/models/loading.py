"""From a ModelSpec to a Denoiser: one loader a family."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from sdviz.errors import ModelError, SdvizError
from sdviz.models.denoiser import Denoiser
from sdviz.models.families import whole_pipeline
from sdviz.models.families.kolors import Kolors
from sdviz.models.families.sdxl import StableDiffusionXL
from sdviz.models.families.stable_diffusion import StableDiffusion
from sdviz.models.families.whole_pipeline import WholePipeline
from sdviz.models.files import marks
from sdviz.models.info import inspect
from sdviz.models.sources import Folder, Parts, SingleFile
from sdviz.plan.config import ModelSpec


def quiet() -> None:
    """No progress bars and no advice from the libraries: sdviz has its own."""
    for library in (transformers.utils.logging, diffusers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()


def load(
    spec: ModelSpec, *, device: str = "cpu", dtype: str = "float32"
) -> Denoiser | WholePipeline:
    """The model that `spec` names on `device`; ModelError if its files cannot be used.

    A Denoiser where the model's cells can ride together, otherwise a WholePipeline.
    """
    quiet()
    info = inspect(spec)
    family = _FAMILIES.get(info.kind, functools.partial(whole_pipeline.load, info=info, spec=spec))
    where = info.checkpoint or info.folder
    source = Folder if info.checkpoint is None else SingleFile if info.is_batched else Parts
    try:
        return family(source(info, spec, device, getattr(torch, dtype)))
    except MemoryError as error:
        raise ModelError(
            f"model={spec.name}: {where} does not fit into memory: {error}", key="model"
        ) from error
    except SdvizError:
        raise
    except Exception as error:  # from_pretrained raises whatever its files make it raise
        raise ModelError(
            f"model={spec.name}: {where} cannot be loaded: {error}", key="model"
        ) from error


def _common(source: Folder, vae_dtype: torch.dtype | None = None) -> dict[str, Any]:
    """What every UNet family has."""
    return {
        "unet": source.part(UNet2DConditionModel, "unet"),
        "vae": source.part(AutoencoderKL, "vae", vae_dtype),
        "tiny_vae": source.tiny_vae(),
        "scheduler_config": source.json("scheduler/scheduler_config.json"),
        "prediction": source.spec.prediction,
    }


def _sized(source: Folder, kind: str) -> dict[str, Any]:
    """What the families of Stable Diffusion XL have; `kind` as ModelInfo's."""
    upcast = source.json("vae/config.json").get("force_upcast", True)
    half = source.dtype == torch.float16  # too small for this VAE's activations
    index = source.json("model_index.json")
    return {
        **_common(source, torch.float32 if half and upcast else None),
        "zeros_for_empty": marks.zeros(index, kind),
    }


def _stable_diffusion(source: Folder) -> StableDiffusion:
    parts = {
        "tokenizer": source.words(CLIPTokenizer),
        "text_encoder": source.part(CLIPTextModel, "text_encoder"),
    }
    common = _common(source)

    def make_pipeline() -> Any:
        return diffusers.StableDiffusionPipeline(
            **parts,
            **_shared(common),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )

    trust = source.spec.trust_pickle
    return StableDiffusion(**parts, **common, make_pipeline=make_pipeline, trust_pickle=trust)


def _sdxl(source: Folder) -> StableDiffusionXL:
    tokenizers = [source.words(CLIPTokenizer, name) for name in ("tokenizer", "tokenizer_2")]
    encoders = [
        source.part(CLIPTextModel, "text_encoder"),
        source.part(CLIPTextModelWithProjection, "text_encoder_2"),
    ]
    common = _sized(source, "sdxl")

    def make_pipeline() -> Any:
        return diffusers.StableDiffusionXLPipeline(
            tokenizer=tokenizers[0],
            tokenizer_2=tokenizers[1],
            text_encoder=encoders[0],
            text_encoder_2=encoders[1],
            add_watermarker=False,
            **_shared(common),
        )

    return StableDiffusionXL(
        tokenizers=tokenizers,
        text_encoders=encoders,
        make_pipeline=make_pipeline,
        trust_pickle=source.spec.trust_pickle,
        **common,
    )


def _kolors(source: Folder) -> Kolors:
    from diffusers.pipelines.kolors import ChatGLMModel, ChatGLMTokenizer

    parts = {
        "tokenizer": source.words(ChatGLMTokenizer),
        "text_encoder": source.part(ChatGLMModel, "text_encoder"),
    }
    common = _sized(source, "kolors")

    def make_pipeline() -> Any:
        return diffusers.KolorsPipeline(**parts, **_shared(common))

    return Kolors(**parts, **common, make_pipeline=make_pipeline)


def _shared(common: dict[str, Any]) -> dict[str, Any]:
    """The parts that diffusers' own pipelines take as well."""
    # A scheduler of any kind: LoRAs do not touch it.
    scheduler = diffusers.EulerDiscreteScheduler(steps_offset=1)
    return {"unet": common["unet"], "vae": common["vae"], "scheduler": scheduler}


_FAMILIES: dict[str, Callable[[Folder], Denoiser]] = {
    "sd1": _stable_diffusion,
    "sd2": _stable_diffusion,
    "sdxl": _sdxl,
    "kolors": _kolors,
}
