"""What is known of a model from its small files: kind, native size, tokens, identity. No torch."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.checkpoints import layouts, single_file
from sdviz.models.checkpoints.components import of_pipeline
from sdviz.models.files import diffusers_source, identity, places, tokens
from sdviz.models.files.refusal import refusing
from sdviz.plan.config import ModelSpec

BATCHED = ("sd1", "sd2", "sdxl", "kolors")  # the kinds whose cells ride together
_BATCHED_PIPELINES = {
    "StableDiffusionPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "KolorsPipeline": "kolors",
}
_SD2_CROSS_ATTENTION = 1024  # OpenCLIP's width; Stable Diffusion 1's CLIP has 768
_FLOW = "FlowMatch"  # how the names of diffusers' flow-matching schedulers begin
FLOW_SAMPLERS = ("Euler", "Heun")  # that diffusers has for flow matching
_EVERY_FLOW_SAMPLER = ("StableDiffusion3Pipeline",)  # others set their own sigmas: Euler alone
_KOLORS_TOKENS = 256
_MOST_LEVELS = 10  # of a VAE
_LARGEST_SIDE = 1 << 16  # pixels; more is no picture's


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What the plan needs to know of a model before its weights are loaded."""

    folder: Path  # in diffusers' layout; of a single-file checkpoint, one without weights
    kind: str  # sd1, sd2, sdxl, kolors, other
    native_width: int  # pixels
    native_height: int
    multiple: int  # width and height must be multiples of it
    max_tokens: int  # of the text encoder, begin and end marks included; 0: no fixed number
    checkpoint: Path | None = None  # the single file that has the weights
    parts: Mapping[str, Path] = field(default_factory=dict, hash=False)  # that it has not
    notes: tuple[str, ...] = ()  # what the user should know of it
    variant: str = ""  # of the weights' files
    vae: Mapping[str, Any] = field(default_factory=dict, hash=False)  # its configuration
    pipeline: str = ""  # name of diffusers' pipeline class
    is_flow: bool = False  # trained by flow matching, which has samplers of its own

    @functools.cached_property
    def identity(self) -> str:
        """64 hex digits: the content of every file that can change a pixel.

        Gigabytes are read for it the first time, so it is asked for when all else is in order.
        """
        with refusing(f"the model in {self.checkpoint or self.folder}"):
            return self._identity()

    def _identity(self) -> str:
        if self.checkpoint is None:
            return identity.of_folder(self.folder, variant=self.variant)
        found = identity.of_file(self.checkpoint) + identity.of_folder(self.folder)
        found += "".join(identity.of_component(part) for part in self.parts.values())
        return hashlib.sha256(found.encode()).hexdigest()

    @property
    def is_batched(self) -> bool:
        """Do its cells ride together, and not one after the other?"""
        return self.kind in BATCHED

    @property
    def samplers(self) -> tuple[str, ...]:
        """The only samplers that will do; () where all do."""
        if not self.is_flow:
            return ()
        return FLOW_SAMPLERS if self.pipeline in _EVERY_FLOW_SAMPLER else FLOW_SAMPLERS[:1]

    @property
    def defaults(self) -> dict[str, Any]:
        """Settings that the model wants where neither the user nor its ModelSpec says otherwise."""
        own = {"width": self.native_width, "height": self.native_height}
        return {**own, "sampler": FLOW_SAMPLERS[0]} if self.is_flow else own

    def check_prompt(self, text: str) -> list[str]:
        """What the text encoder does not take: the end of `text`, as written; [] if all fits."""
        cut = tokens.beyond(text, tokenizer=self.folder / "tokenizer", limit=self.max_tokens)
        return [cut] if cut else []


def inspect(spec: ModelSpec) -> ModelInfo:
    """Reads the small files of the model that `spec` names; ModelError where there is none."""
    place = places.find(spec)
    with refusing(f"model={spec.name}: {place}", "model"):
        return _inspected(place, spec)


def _inspected(place: Path, spec: ModelSpec) -> ModelInfo:
    if place.is_file():
        found = single_file.layout(place, spec)
        info = _info(spec, found.folder, kind=found.kind, checkpoint=place)
        if not info.is_batched and of_pipeline(info.pipeline) is None:
            raise ModelError(
                f"model={spec.name}: {place.name} would be run by {info.pipeline}, which takes "
                "folders in diffusers' layout; name another layout with model.config=",
                key="model",
            )
        return dataclasses.replace(info, parts=found.parts, notes=found.notes)
    if not (place / "model_index.json").is_file() and str(place) != spec.id and "/" in spec.id:
        _refuse_incomplete(spec, place, "model_index.json")
    return _info(spec, place, kind=spec.kind)


def _info(spec: ModelSpec, folder: Path, *, kind: str, checkpoint: Path | None = None) -> ModelInfo:
    index = _read(folder / "model_index.json")
    pipeline = str(index.get("_class_name", ""))
    if kind not in BATCHED and pipeline not in _BATCHED_PIPELINES:
        reason = diffusers_source.why_not(pipeline)
        if reason:
            raise ModelError(
                f"model={spec.name}: {reason}; name another with model.id=", key="model"
            )
    denoiser = folder / ("unet" if (folder / "unet").is_dir() else "transformer")
    config = _read(denoiser / "config.json")
    if checkpoint is None and not any(
        path.suffix in (".safetensors", ".bin") for path in denoiser.iterdir()
    ):
        _refuse_incomplete(spec, folder, f"the weights of {denoiser.name}/")
    vae = _read(folder / "vae" / "config.json", missing={})
    with refusing(folder / "vae" / "config.json", "model"):
        factor = 2 ** (min(len(vae.get("block_out_channels", [0] * 4)), _MOST_LEVELS) - 1)
    packed = 2 if pipeline.startswith("Flux") else 1  # 2x2 latents a token
    with refusing(denoiser / "config.json", "model"):
        rows, columns = _latent_size(config, index, factor)
        patch = packed if packed > 1 else int(config.get("patch_size") or 1)
        if not all(0 < side <= _LARGEST_SIDE for side in (rows * factor, columns * factor, patch)):
            raise ValueError(f"pictures of {columns}x{rows} latents of {factor} pixels")
    scheduler = _read(folder / "scheduler" / "scheduler_config.json", missing={})
    kind = kind if kind != "auto" else _kind(index, config)
    if kind == "kolors" and importlib.util.find_spec("sentencepiece") is None:
        raise ModelError(
            f"model={spec.name}: Kolors' tokenizer needs the package sentencepiece; "
            "python -m pip install sentencepiece",
            key="model",
        )
    return ModelInfo(
        folder=folder,
        kind=kind,
        native_width=columns * factor,
        native_height=rows * factor,
        multiple=factor * patch,
        max_tokens=_KOLORS_TOKENS if kind == "kolors" else _max_tokens(folder),
        checkpoint=checkpoint,
        variant=spec.variant,
        vae=vae,
        pipeline=pipeline,
        is_flow=str(scheduler.get("_class_name", "")).startswith(_FLOW),
    )


def _latent_size(config: dict[str, Any], index: dict[str, Any], factor: int) -> tuple[int, int]:
    """(rows, columns) of the latents that the denoiser was trained on."""
    if index.get("_class_name", "").startswith("Flux"):  # its configuration does not say
        return 1024 // factor, 1024 // factor
    sample = config.get("sample_size") or 64
    rows, columns = sample if isinstance(sample, list) else (sample, sample)
    return int(rows), int(columns)


def _refuse_incomplete(spec: ModelSpec, folder: Path, what: str) -> None:
    remedy = "name another with model.id="
    if not Path(spec.id).expanduser().exists():
        remedy = places.fetching(spec.id, revision=spec.revision, variant=spec.variant)
    raise ModelError(f"model={spec.name}: {folder} lacks {what}; {remedy}", key="model")


def _kind(index: dict[str, Any], denoiser: dict[str, Any]) -> str:
    kind = _BATCHED_PIPELINES.get(index.get("_class_name", ""), "other")
    if denoiser.get("time_cond_proj_dim"):
        return "other"  # distilled with the CFG scale as an input (LCM): its pipeline knows how
    if kind != "sd":
        return kind
    return "sd2" if denoiser.get("cross_attention_dim") == _SD2_CROSS_ATTENTION else "sd1"


def _max_tokens(folder: Path) -> int:
    words = _read(folder / "tokenizer" / "tokenizer_config.json", missing={})
    with refusing(folder / "tokenizer" / "tokenizer_config.json"):
        length = words.get("model_max_length", 0)
        return int(length) if length < 1_000_000 else 0  # transformers' "no limit" is 1e30


def _read(path: Path, *, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        return layouts.read(path)
    except ModelError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        if missing is not None:
            return missing
        raise ModelError(
            f"{path}: missing, so {path.parent} is not a model in diffusers' layout; name a folder "
            "with a model_index.json in model="
        ) from error
