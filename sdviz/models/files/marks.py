"""What changes a model's pixels beside the content of its components' files. No torch.

A model that diffusers would run as its files alone suggest has no marks. So the identity of most
models is the hash of their files, and archives of theirs keep their keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.files import diffusers_source
from sdviz.models.files.refusal import read_object
from sdviz.plan.config import ModelSpec

# Components that no finished picture depends on here.
WITHOUT_EFFECT = {
    "safety_checker", "feature_extractor", "image_encoder", "vae_tiny", "clip", "watermarker",
    "requires_safety_checker", "add_watermarker",
}  # fmt: skip
ZEROS = "force_zeros_for_empty_prompt"
_SIZED = ("sdxl", "kolors")  # kinds that heed ZEROS
# Denoisers whose name does not begin like that of the pipeline they were published with.
_PIPELINES = {
    "SD3": "StableDiffusion3",
    "PixArt": "PixArtAlpha",
    "LuminaNextDiT": "Lumina",
    "CogView3Plus": "CogView3Plus",
}


def of(
    spec: ModelSpec,
    *,
    kind: str,
    index: Mapping[str, Any],
    scheduler: Mapping[str, Any],
    usual: tuple[str, str],
    folder: Path,
) -> dict[str, Any]:
    """The marks of a model by name, {} for most; all of them can be written as JSON.

    `kind` is as in ModelInfo and `usual` the (kind, pipeline) that the files alone suggest; `index`
    is its model_index.json and `scheduler` the scheduler's configuration.
    """
    is_whole = kind == "other"
    pipeline = str(index.get("_class_name", ""))
    marks: dict[str, Any] = {}
    if is_whole and (kind, pipeline) != usual:
        marks["pipeline"] = pipeline
    elif not is_whole and _family(kind) != _family(usual[0]):
        marks["kind"] = kind
    predicted = scheduler.get("prediction_type", "epsilon")
    if spec.prediction not in ("auto", predicted):
        marks["prediction"] = spec.prediction
    if is_whole:
        marks |= _components(index, pipeline, folder)
    elif kind in _SIZED and zeros(index, kind) is not True:
        marks[ZEROS] = zeros(index, kind)
    return marks


def zeros(index: Mapping[str, Any], kind: str) -> Any:
    """Is an empty negative prompt zeros, and not an encoding? With the pipelines' defaults."""
    return index.get(ZEROS, kind != "kolors")


def usual_pipeline(folder: Path, denoiser: Mapping[str, Any]) -> str:
    """The pipeline that a folder's components suggest, whatever its model_index.json says."""
    if (folder / "unet").is_dir():
        if denoiser.get("encoder_hid_dim_type") == "text_proj":
            return "KolorsPipeline"
        if (folder / "text_encoder_2").is_dir():
            return "StableDiffusionXLPipeline"
        if denoiser.get("time_cond_proj_dim"):
            return "LatentConsistencyModelPipeline"
        return "StableDiffusionPipeline"
    name = re.sub(r"(Transformer)?\dD(Model)?$|TransformerModel$", "", _class_of(denoiser))
    return f"{_PIPELINES.get(name, name)}Pipeline"


def _family(kind: str) -> str:
    """Stable Diffusion 1 and 2 are computed alike."""
    return "sd1" if kind == "sd2" else kind


def _components(index: Mapping[str, Any], pipeline: str, folder: Path) -> dict[str, Any]:
    """The entries of a model_index.json that the folder's files alone do not suggest.

    diffusers hands all of them to the pipeline: components by the class that is named, or none
    where a folder is not to be used, and the pipeline's own switches.
    """
    usual = diffusers_source.switches(pipeline)
    found: dict[str, Any] = {}
    for name, value in index.items():
        if name.startswith("_") or name in WITHOUT_EFFECT:
            continue
        if not isinstance(value, list):
            if name not in usual or usual[name] != value:
                found[name] = value
        elif value[-1:] == [None]:
            if (folder / name).is_dir():
                found[name] = value
        elif not _is_of_files(folder / name, str(value[-1])):
            found[name] = value
    return found


def _is_of_files(component: Path, named: str) -> bool:
    """Do the component's own files name the same class, as far as they name one?"""
    if named.startswith(("AutoTokenizer", "AutoModel", "AutoProcessor")):  # the files choose
        return True
    for file in ("config.json", "scheduler_config.json", "tokenizer_config.json"):
        try:
            config = read_object(component / file)
        except ModelError:
            continue
        classes = [_class_of(config), config.get("tokenizer_class"), *_architectures(config)]
        known = {str(one).removesuffix("Fast") for one in classes if one}
        return not known or named.removesuffix("Fast") in known
    return True


def _class_of(config: Mapping[str, Any]) -> str:
    return str(config.get("_class_name") or "")


def _architectures(config: Mapping[str, Any]) -> list[Any]:
    found = config.get("architectures")
    return found if isinstance(found, list) else []
