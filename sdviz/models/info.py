"""What is known of a model from its small files: kind, native size, tokens, identity. No torch."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.checkpoints import layouts, single_file
from sdviz.models.checkpoints.components import of_pipeline
from sdviz.models.files import (
    component_files,
    diffusers_source,
    guidance,
    identity,
    marks,
    places,
    sizes,
    tokens,
)
from sdviz.models.files.refusal import refusing
from sdviz.plan import samplers
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
_LARGEST_SIDE = 1 << 16  # pixels; more is no picture's
# Pipelines that call their scheduler in a way that one alone understands.
_ONE_SAMPLER = {"LatentConsistencyModelPipeline": "LCM"}
_NATIVE_ALONE = ("IFPipeline",)  # ask their scheduler what it does with a learned variance
_LIKE_OURS = {"TCDScheduler", "DPMSolverMultistepInverseScheduler"}  # trained as for ours
_VAE = "AutoencoderKL"
_PREDICTIONS = ("epsilon", "v_prediction", "sample")


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
    guidance_embeds: bool | None = None  # of the transformer; None: it has no such switch
    is_native: bool = False  # no sampler fits but the scheduler that it was published with
    timestep_spacing: str = "leading"  # of the timesteps that it was published with
    marks: Mapping[str, Any] = field(default_factory=dict, hash=False)  # sdviz.models.marks

    @functools.cached_property
    def identity(self) -> str:
        """64 hex digits: the content of every file that can change a pixel.

        Gigabytes are read for it the first time, so it is asked for when all else is in order.
        """
        with refusing(f"the model in {self.checkpoint or self.folder}"):
            return self._identity()

    def _identity(self) -> str:
        if self.checkpoint is None:
            content = identity.of_folder(self.folder, variant=self.variant)
        else:
            content = identity.of_file(self.checkpoint) + identity.of_folder(self.folder)
            content += "".join(identity.of_component(part) for part in self.parts.values())
            content = hashlib.sha256(content.encode()).hexdigest()
        if not self.marks:
            return content
        return hashlib.sha256(
            f"{content} {json.dumps(self.marks, sort_keys=True)}".encode()
        ).hexdigest()

    @property
    def is_batched(self) -> bool:
        """Do its cells ride together, and not one after the other?"""
        return self.kind in BATCHED

    @property
    def guidance(self) -> guidance.Guidance:
        """How the pipeline takes `cfg`, where its cells are not our own loop's."""
        return guidance.of(diffusers_source.call(self.pipeline), self.guidance_embeds)

    @property
    def samplers(self) -> tuple[str, ...]:
        """The only samplers that will do; () where all do."""
        if self.pipeline in _ONE_SAMPLER:
            return (_ONE_SAMPLER[self.pipeline],)
        if self.is_native:
            return (samplers.NATIVE,)
        if not self.is_flow:
            return ()
        ours = FLOW_SAMPLERS if self.pipeline in _EVERY_FLOW_SAMPLER else FLOW_SAMPLERS[:1]
        return (*ours, samplers.NATIVE)

    @property
    def defaults(self) -> dict[str, Any]:
        """Settings that the model wants where neither the user nor its ModelSpec says otherwise."""
        wanted: dict[str, Any] = {"width": self.native_width, "height": self.native_height}
        if not self.is_batched:
            wanted |= self._of_the_call()
        return {**wanted, "sampler": self.samplers[0]} if self.samplers else wanted

    def _of_the_call(self) -> dict[str, Any]:
        """The steps and the CFG scale that the pipeline's own signature has."""
        usual = diffusers_source.call(self.pipeline)
        steps, cfg = usual.get("num_inference_steps"), usual.get(self.guidance.argument)
        known = {"steps": steps} if isinstance(steps, int) else {}
        return {**known, "cfg": float(cfg)} if isinstance(cfg, int | float) else known

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
        for part in found.parts.values():
            component_files.check_pickles(part, spec, key="model.base")
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
    pipeline = index.get("_class_name", "")
    if kind not in BATCHED and (
        not isinstance(pipeline, str) or pipeline not in _BATCHED_PIPELINES
    ):
        reason = diffusers_source.why_not(pipeline)
        if reason:
            raise ModelError(
                f"model={spec.name}: {reason}; name another with model.id=", key="model"
            )
    if library := diffusers_source.foreign_library(index):
        raise ModelError(
            f"model={spec.name}: {folder / 'model_index.json'} takes a component from"
            f" {library[:60]!r}, and sdviz takes them from diffusers and transformers only; name"
            " another with model.id=",
            key="model",
        )
    pipeline = str(pipeline)
    denoiser = folder / ("unet" if (folder / "unet").is_dir() else "transformer")
    config = _read(denoiser / "config.json")
    if checkpoint is None and not any(
        path.suffix in (".safetensors", ".bin") for path in denoiser.iterdir()
    ):
        _refuse_incomplete(spec, folder, f"the weights of {denoiser.name}/")
    if checkpoint is None:
        component_files.check(spec, folder)
    vae = _read(folder / "vae" / "config.json", missing={})
    with refusing(f"the configurations in {folder}", "model"):
        size = sizes.of(folder, pipeline, config)
        if not all(0 < side <= _LARGEST_SIDE for side in (size.width, size.height, size.multiple)):
            raise ValueError(f"pictures of {size.width}x{size.height} pixels")
    scheduler = _read(folder / "scheduler" / "scheduler_config.json", missing={})
    is_flow = str(scheduler.get("_class_name", "")).startswith(_FLOW)
    if is_flow and spec.prediction != "auto":
        raise ModelError(
            f"model.prediction={spec.prediction}: {spec.name} was trained by flow matching, which "
            "predicts a velocity; remove it",
            key="model.prediction",
        )
    kind = kind if kind != "auto" else _kind(index, config)
    if kind in BATCHED and checkpoint is None and _has_another_vae(vae):
        kind = "other"  # diffusers' own pipeline runs it with the class that it names
        if reason := diffusers_source.why_not(pipeline):
            raise ModelError(
                f"model={spec.name}: {reason}; name another with model.id=", key="model"
            )
    is_native = _is_native(pipeline, scheduler, spec)
    if kind in BATCHED:
        _refuse_misfits(spec, config, vae, scheduler)
        if is_native:  # its scheduler is none of ours: diffusers' own pipeline runs it
            kind = "other"
            if checkpoint is not None or diffusers_source.why_not(pipeline):
                raise ModelError(
                    f"model={spec.name}: was trained with {_formulation(scheduler)}, which sdviz "
                    "reads only as folders in diffusers' layout",
                    key="model",
                )
    if kind == "kolors" and importlib.util.find_spec("sentencepiece") is None:
        raise ModelError(
            f"model={spec.name}: Kolors' tokenizer needs the package sentencepiece; "
            "python -m pip install sentencepiece",
            key="model",
        )
    return ModelInfo(
        folder=folder,
        kind=kind,
        native_width=size.width,
        native_height=size.height,
        multiple=size.multiple,
        max_tokens=_KOLORS_TOKENS if kind == "kolors" else _max_tokens(folder),
        checkpoint=checkpoint,
        variant=spec.variant,
        vae=vae,
        pipeline=pipeline,
        is_flow=is_flow,
        guidance_embeds=_switch(config, "guidance_embeds"),
        is_native=is_native,
        timestep_spacing=str(scheduler.get("timestep_spacing", "leading")),
        marks=marks.of(
            spec, kind=kind, index=index, scheduler=scheduler, usual=_usual(folder, config),
            folder=folder,
        ),
    )  # fmt: skip


def _switch(config: Mapping[str, Any], name: str) -> bool | None:
    value = config.get(name)
    return value if isinstance(value, bool) else None


def _has_another_vae(vae: Mapping[str, Any]) -> bool:
    """Is it another autoencoder than the families' own?"""
    return str(vae.get("_class_name", _VAE)) != _VAE


def _is_native(pipeline: str, scheduler: Mapping[str, Any], spec: ModelSpec) -> bool:
    """Is its own scheduler the only one that fits what the model was trained for?"""
    made = str(scheduler.get("_class_name", ""))
    if not made or made.startswith(_FLOW):
        return False
    ours = samplers.schedulers() | _LIKE_OURS
    predicts = scheduler.get("prediction_type", "epsilon")
    if spec.prediction != "auto":
        predicts = spec.prediction
    return (
        pipeline in _NATIVE_ALONE
        or made not in ours
        or predicts not in _PREDICTIONS
        or bool(scheduler.get("use_flow_sigmas"))
        or str(scheduler.get("variance_type", "")).startswith("learned")
    )


def _formulation(scheduler: Mapping[str, Any]) -> str:
    """In words, what a scheduler's configuration says of the training."""
    made = str(scheduler.get("_class_name", ""))
    if made.startswith("EDM"):
        return f"EDM's noise levels ({made})"
    return f"{made}, prediction_type={scheduler.get('prediction_type', 'epsilon')}"


def _refuse_misfits(
    spec: ModelSpec,
    unet: Mapping[str, Any],
    vae: Mapping[str, Any],
    scheduler: Mapping[str, Any],
) -> None:
    """ModelError where a UNet family's parts are not those that its pipeline runs."""
    latents = vae.get("latent_channels", 4)
    takes, gives = unet.get("in_channels", 4), unet.get("out_channels", 4)
    if takes != latents:
        more = "an inpainting or editing model, which needs a picture besides the prompt"
        raise ModelError(
            f"model={spec.name}: its UNet takes latents of {takes} channels, and its VAE gives "
            f"{latents}: it is {more}; name another with model.id=",
            key="model",
        )
    if gives != takes:
        raise ModelError(
            f"model={spec.name}: its UNet takes {takes} channels and gives {gives}, unlike models "
            "of Stable Diffusion's kind; name another with model.id=",
            key="model",
        )
    if unet.get("class_embed_type") or unet.get("num_class_embeds"):
        raise ModelError(
            f"model={spec.name}: its UNet needs class labels besides the prompt, as upscalers do; "
            "name another with model.id=",
            key="model",
        )
    if str(scheduler.get("_class_name", "")).startswith(_FLOW):
        raise ModelError(
            f"model={spec.name}: was trained by flow matching, which diffusers' pipeline for UNets "
            "does not run; name another with model.id=",
            key="model",
        )


def _usual(folder: Path, denoiser: dict[str, Any]) -> tuple[str, str]:
    """(kind, pipeline) that the files of a folder suggest beside its model_index.json."""
    pipeline = marks.usual_pipeline(folder, denoiser)
    return _kind({"_class_name": pipeline}, denoiser), pipeline


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
            "with a model_index.json in model=",
            key="model",
        ) from error
