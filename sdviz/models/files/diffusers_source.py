"""Can sdviz run a pipeline of diffusers? Read off its source: importing it would take seconds."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
from pathlib import Path

# What a text-to-image pipeline takes, by the names of its arguments.
_NEEDED = ("prompt", "guidance_scale", "num_inference_steps", "width", "height", "generator")
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


def why_not(name: str) -> str:
    """Why the pipeline class `name` cannot draw pictures from texts here; "" where it can."""
    if not name:
        return "its model_index.json names no pipeline"
    taken = _arguments(name)
    if taken is None:
        return f"diffusers {importlib.metadata.version('diffusers')} has no {name}"
    wants = next((what for argument, what in _FOREIGN.items() if argument in taken), "")
    if wants:
        return f"{name} is not a text-to-image pipeline: it takes {wants}"
    missing = [argument for argument in _NEEDED if argument not in taken]
    missing += [argument for argument, optional in taken.items() if not optional]
    if "prompt" in missing:
        return f"{name} is not a text-to-image pipeline: it takes no prompt"
    if missing:
        return f"{name} differs from a text-to-image pipeline in {', '.join(missing)}"
    return ""


def takes(name: str, argument: str) -> bool:
    """Has the call of the pipeline class `name` that argument, as far as is known?"""
    return argument in (_arguments(name) or {argument})


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


def _class(name: str) -> ast.ClassDef | None:
    spec = importlib.util.find_spec("diffusers")
    assert spec is not None and spec.origin is not None
    for path in sorted((Path(spec.origin).parent / "pipelines").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if f"class {name}(" not in text:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
    return None
