"""What a recipe asks of its model beside its weights, checked before they are loaded. No torch."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.addons import embeddings, kohya_lora, lora, lora_tensors, vae
from sdviz.models.checkpoints import tensor_names, unet_file
from sdviz.models.files import component_files, diffusers_source, identity, places, tensors
from sdviz.models.files.refusal import read_object, refusing
from sdviz.models.info import ModelInfo
from sdviz.plan import loras, samplers
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe

SAFETY_CHECKER = "CompVis/stable-diffusion-safety-checker"
SMALLEST_MARKED = 256  # pixels a side of a picture that has room for a watermark


def worn(recipe: Recipe) -> tuple[str, tuple[tuple[str, float], ...]]:
    """(VAE, LoRAs and their scales): cells that agree in it share a model's layers, and a batch.

    A LoRA at scale 0 is none.
    """
    return recipe.vae, loras.pairs(recipe.lora, recipe.lora_scale)


def check_lora(name: str, spec: ModelSpec, info: ModelInfo) -> None:
    """ModelError unless each LoRA of `name` can be read and fits the model of `spec`."""
    for one in loras.names(name):
        _check_lora(one, spec, info)


def _check_lora(name: str, spec: ModelSpec, info: ModelInfo) -> None:
    if importlib.util.find_spec("peft") is None:
        raise ModelError(
            f"lora={name}: needs the package peft; python -m pip install peft", key="lora"
        )
    if not (info.is_batched or diffusers_source.takes_loras(info.pipeline)):
        raise ModelError(
            f"lora={name}: {info.pipeline}, which runs {spec.name}, supports no LoRA; leave it out",
            key="lora",
        )
    shapes: Mapping[str, tuple[int, ...]] = tensors.shapes(
        lora.find(name), key="lora", trust_pickle=spec.trust_pickle
    )
    lora_tensors.check(name, shapes)
    shapes = {key: shape for key, shape in shapes.items()
              if not key.startswith(lora_tensors.EMBEDDINGS)}  # fmt: skip
    part = "unet" if (info.folder / "unet").is_dir() else "transformer"
    folder = info.folder / part
    file = folder / "config.json"
    config = read_object(file) if file.is_file() else {}
    known = _denoiser(spec, info, folder)
    if part == "transformer":
        shapes = _of_transformer(name, shapes, int(config.get("num_layers", 0)), spec.name)
        config = {}
    lora.check(
        name, shapes, model=spec.name, pipeline=info.pipeline, unet=config, weights=known, part=part
    )


def _denoiser(spec: ModelSpec, info: ModelInfo, folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Shapes of the weights of what denoises, by diffusers' names; {} if they cannot be told."""
    if info.checkpoint is None:
        files = identity.weights_of(folder, spec.variant) if folder.is_dir() else []
        return tensors.of_folder(folder, files, key="model")
    shapes = tensors.shapes(info.checkpoint, key="model", trust_pickle=spec.trust_pickle)
    if info.is_batched:  # CompVis's names are mapped by diffusers, as it loads them
        return shapes if unet_file.prefix(shapes) == "" else {}
    return {name: rows.shape(shapes) for name, rows in tensor_names.denoiser(shapes).items()}


def bundled(name: str, spec: ModelSpec) -> list[str]:
    """The words of the embeddings that the LoRAs of `name` have in them, which are left out."""
    files = map(lora.find, loras.names(name))
    each = (tensors.shapes(file, key="lora", trust_pickle=spec.trust_pickle) for file in files)
    return [word for shapes in each for word in lora_tensors.embeddings(shapes)]


def _of_transformer(
    name: str, shapes: Mapping[str, tuple[int, ...]], blocks: int, model: str
) -> Mapping[str, tuple[int, ...]]:
    """The LoRA's `shapes`, those of kohya's files by diffusers' names; ModelError."""
    is_kohyas = kohya_lora.is_kohyas(shapes)
    if other := kohya_lora.unknown(shapes, blocks) if is_kohyas else "":
        raise ModelError(
            f"lora={name}: has {other}, which {model} does not support; use another", key="lora"
        )
    if not is_kohyas:
        return shapes
    return {new: rows.shape(shapes) for new, rows in kohya_lora.converted(shapes, blocks).items()}


def check_vae(name: str, spec: ModelSpec, info: ModelInfo) -> None:
    """ModelError unless VAE `name` can be read and fits the model of `spec`."""
    if not name:
        return
    if not info.is_batched:
        raise ModelError(
            f"vae={name}: {spec.name} is a model of kind {info.kind}, whose VAE cannot be replaced",
            key="vae",
        )
    path = vae.find(name)
    if path.is_dir():
        component_files.check_pickles(path, spec, key="vae")
    vae.check(name, model=spec.name, own=info.folder / "vae", trust_pickle=spec.trust_pickle)


def content(key: str, name: str) -> str:
    """64 hex digits of the file or folder that `lora=` or `vae=` names; of `embedding=` as in
    embeddings.content.
    """
    with refusing(f"{key}={name}", key):
        return _content(key, name)


def _content(key: str, name: str) -> str:
    if key == "embedding":
        return embeddings.content(name)
    if key == "lora" and len(several := loras.names(name)) > 1:
        return "+".join(content(key, one) for one in several)
    path = lora.find(name) if key == "lora" else vae.find(name)
    if path.is_file():
        mark = lora_tensors.mark(path) if key == "lora" else ""
        found = identity.of_file(path)
        return hashlib.sha256(f"{found} {mark}".encode()).hexdigest() if mark else found
    return identity.of_component(path)


def checker(spec: ModelSpec) -> str:
    """64 hex digits of the safety checker that `safety=` asks."""
    return identity.of_component(find_checker(spec))


def find_checker(spec: ModelSpec) -> Path:
    """The folder of the safety checker that is named, else of the model's own, else of CompVis's.

    ModelError, with what fetches it, where it is not here.
    """
    folder = _checker_folder(spec)
    component_files.check_pickles(folder, spec, key="model.safety_checker")
    return folder


def _checker_folder(spec: ModelSpec) -> Path:
    if not spec.safety_checker:
        own = places.find(spec) / "safety_checker"
        if (own / "config.json").is_file() and identity.weights_of(own, ""):
            return own
    folder = places.anywhere(spec.safety_checker or SAFETY_CHECKER, key="model.safety_checker")
    if folder.is_dir() and (folder / "config.json").is_file():
        return folder
    raise ModelError(
        f"model.safety_checker={spec.safety_checker}: {folder} has no config.json; name a folder "
        f"or a hub id of a StableDiffusionSafetyChecker, such as {SAFETY_CHECKER}",
        key="model.safety_checker",
    )


def check_sampler(name: str, spec: ModelSpec, info: ModelInfo) -> None:
    """ModelError where a model cannot take the sampler `name`."""
    if name == samplers.NATIVE and info.is_batched:
        raise ModelError(
            f"sampler={name}: {spec.name} supports sdviz's samplers, and Native is for pipelines "
            "that support none of them; use one of these, such as sampler=Euler",
            key="sampler",
        )
    if info.samplers and name not in info.samplers:
        why = "was trained by flow matching, which supports" if info.is_flow else "supports only"
        raise ModelError(
            f"sampler={name}: {spec.name} {why} {' and '.join(info.samplers)}; use "
            f"sampler={info.samplers[0]}",
            key="sampler",
        )


def check_safety(name: str, spec: ModelSpec, info: ModelInfo) -> None:
    """ModelError unless the safety checker is here."""
    if name != "none":
        find_checker(spec)


FILES = ("lora", "vae", "embedding")  # settings whose value names a file
CHECKS: Mapping[str, Callable[[Any, ModelSpec, ModelInfo], None]] = {
    "lora": check_lora,
    "vae": check_vae,
    "sampler": check_sampler,
    "safety": check_safety,
}
