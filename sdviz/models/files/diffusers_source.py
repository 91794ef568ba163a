"""Can sdviz run a pipeline of diffusers? Read off its source: importing it would take seconds."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

# What a text-to-image pipeline takes, by the names of its arguments.
_NEEDED = ("prompt", "num_inference_steps", "width", "height", "generator")
# And one of these, which `cfg` sets.
_GUIDED = ("guidance_scale", "true_cfg_scale", "distilled_guidance_scale")
# And what tells of another task.
_FOREIGN = {
    "mask_image": "an image and a mask",
    "control_image": "an image that guides it",
    "controlnet_conditioning_scale": "an image that guides it",
    "num_frames": "a number of frames: it makes videos",
    "frames": "a number of frames: it makes videos",
    "video_length": "a number of frames: it makes videos",
    "strength": "an image to start from",
}


# Pipelines that take a picture, and draw without one as well.
_WITHOUT_IMAGE = {
    "BriaFibo2Pipeline", "DreamLitePipeline", "DreamLiteMobilePipeline", "Flux2KleinPipeline",
    "Flux2Pipeline", "FluxKontextPipeline", "GlmImagePipeline", "UniDiffuserPipeline",
    "QwenImage21Pipeline", "ZImageOmniPipeline",
}  # fmt: skip
_IMAGES = ("image", "images", "gligen_images", "source_image")
# What the names of classes tell that their arguments do not.
_NAMED = {
    r"^(Onnx|StableDiffusionOnnx)": "runs models in ONNX's format, not in torch's",
    r"Prior\w*Pipeline$": "makes embeddings for another pipeline, not a picture",
    r"CombinedPipeline$": "is two pipelines, one after the other, each with steps, a sampler and a "
    "guidance of its own, and sdviz sets those of one",
    r"LDM3D": "makes a depth map besides the picture",
    r"Pix2PixZero": "needs embeddings of what it replaces",
    r"FunControl": "makes videos",
}


def why_not(name: Any) -> str:
    """Why the pipeline class `name` cannot draw pictures from texts here; "" where it can."""
    if not name:
        return "its model_index.json names no pipeline"
    if not isinstance(name, str):
        return "its model_index.json names pipeline code of its own, which sdviz does not run"
    taken = _arguments(name)
    if taken is None:
        return f"diffusers {importlib.metadata.version('diffusers')} has no {name}"
    wants = next((what for argument, what in _FOREIGN.items() if argument in taken), "")
    if wants:
        return f"{name} is not a text-to-image pipeline: it takes {wants}"
    if "prompt" not in taken:
        return f"{name} is not a text-to-image pipeline: it takes no prompt"
    if reason := next((why for sign, why in _NAMED.items() if re.search(sign, name)), ""):
        return f"{name} {reason}"
    if (image := next((one for one in _IMAGES if one in taken), "")) and (
        name not in _WITHOUT_IMAGE or not taken[image]
    ):
        return f"{name} is not a text-to-image pipeline: it takes a picture ({image}), too"
    if wanted := [argument for argument, optional in taken.items() if not optional]:
        return f"{name} needs {' and '.join(wanted)} besides the prompt, which sdviz does not have"
    missing = [argument for argument in _NEEDED if argument not in taken]
    if not any(argument in taken for argument in _GUIDED):
        missing.insert(0, _GUIDED[0])
    if missing:
        return f"{name} takes no {' and no '.join(map(_near(taken), missing))}"
    return ""


def _near(taken: Iterable[str]) -> Callable[[str], str]:
    """An argument that a pipeline does not take, with what it takes in its place."""

    def told(argument: str) -> str:
        others = [one for one in taken if argument in one]
        setting = {"guidance_scale": "cfg", "num_inference_steps": "steps", "generator": "seed"}
        sets = f", which {setting.get(argument, argument)}= sets"
        return argument + sets + (f" (but {' and '.join(others)})" if others else "")

    return told


def takes(name: str, argument: str) -> bool:
    """Has the call of the pipeline class `name` that argument, as far as is known?"""
    return argument in (_arguments(name) or {argument})


@functools.lru_cache
def call(name: str) -> dict[str, Any]:
    """The arguments of a call of the pipeline class `name`, with their defaults; None stands for
    one that is no plain value.
    """
    for one in _classes(name):
        for node in one.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__call__":
                return _defaults(node.args)
    return {}


def _defaults(arguments: ast.arguments) -> dict[str, Any]:
    plain = arguments.args[1:]
    values: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    values += arguments.defaults
    pairs = [
        *zip(plain, values, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {
        argument.arg: default.value if isinstance(default, ast.Constant) else None
        for argument, default in pairs
    }


@functools.lru_cache
def switches(name: str) -> dict[str, Any]:
    """The arguments that the pipeline class `name` is made with and that are plain values, with
    their defaults; {} where there is no such class.
    """
    found = _class(name)
    for node in found.body if found else ():
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            plain = node.args.args[len(node.args.args) - len(node.args.defaults) :]
            pairs: list[tuple[ast.arg, ast.expr | None]] = [
                *zip(plain, node.args.defaults, strict=True),
                *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
            ]
            return {argument.arg: default.value for argument, default in pairs
                    if isinstance(default, ast.Constant)}  # fmt: skip
    return {}


@functools.lru_cache
def packs(name: str) -> bool:
    """Does the pipeline class `name` lay 2x2 latents side by side in one token?"""
    return any(
        isinstance(node, ast.FunctionDef) and node.name in ("_pack_latents", "_patchify_latents")
        for one in _classes(name)
        for node in one.body
    )


@functools.lru_cache
def sample_size(name: str) -> int:
    """The rows of latents that the pipeline class `name` has where no configuration says any; 0
    where its source does not say either.
    """
    for one in _classes(name):
        for node in ast.walk(one):
            if isinstance(node, ast.Assign) and "self.default_sample_size" in map(
                ast.unparse, node.targets
            ):
                parts = ast.walk(node.value)
                sizes = [part.value for part in parts if isinstance(part, ast.Constant)]
                return next((size for size in sizes if isinstance(size, int)), 0)
    return 0


@functools.lru_cache
def takes_loras(name: str) -> bool:
    """Can LoRAs be put on the pipeline class `name`?"""
    bases = [base for one in _classes(name) for base in one.bases if isinstance(base, ast.Name)]
    return any(base.id.endswith("LoraLoaderMixin") for base in bases)


def _classes(name: str) -> list[ast.ClassDef]:
    """The class and those that it inherits of, as far as they are pipelines."""
    found = _class(name)
    if found is None:
        return []
    bases = [base.id for base in found.bases if isinstance(base, ast.Name)]
    return [
        found,
        *(one for base in bases if base != "DiffusionPipeline" for one in _classes(base)),
    ]


def foreign_library(index: Mapping[str, Any]) -> str:
    """A library in a model_index.json that is neither diffusers, a pipeline of it, nor
    transformers; "" where there is none. Importing it would run code that lies beside the model.
    """
    for component, entry in index.items():
        if component.startswith("_") or not isinstance(entry, list) or not entry:
            continue
        library = entry[0]
        if all(isinstance(one, int) for one in entry):  # a setting, as Krea 2's layers
            continue
        if library is not None and library not in ("diffusers", "transformers"):
            plain = isinstance(library, str) and library.isidentifier()
            if not plain or not (_pipelines() / library).is_dir():
                return str(library)
    return ""


@functools.lru_cache
def _arguments(name: str) -> dict[str, bool] | None:
    """The arguments of the pipeline's call, and whether each can be left out; None: no such class.

    `prompt` counts as one that can.
    """
    found = _class(name)
    if found is None:
        return None
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__call__":
            plain = [argument.arg for argument in node.args.args[1:]]
            needed = plain[: len(plain) - len(node.args.defaults)]
            names = [*plain, *(argument.arg for argument in node.args.kwonlyargs)]
            return {one: one not in needed or one == "prompt" for one in names}
    for base in found.bases:
        if isinstance(base, ast.Name) and (inherited := _arguments(base.id)):
            return inherited
    return {}


@functools.lru_cache
def _class(name: str) -> ast.ClassDef | None:
    path = _places().get(name)
    if path is None:
        return None
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    return next(
        (node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name), None
    )


@functools.lru_cache
def _places() -> dict[str, Path]:
    """The file of each class among diffusers' pipelines."""
    found: dict[str, Path] = {}
    for path in sorted(_pipelines().rglob("*.py")):
        for name in re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name, path)
    return found


_DIFFUSERS = importlib.util.find_spec("diffusers")  # without importing it


def _pipelines() -> Path:
    """The folder of diffusers' pipelines."""
    assert _DIFFUSERS is not None and _DIFFUSERS.origin is not None
    return Path(_DIFFUSERS.origin).parent / "pipelines"
