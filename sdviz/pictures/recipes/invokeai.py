"""InvokeAI's `invokeai_metadata`, and `sd-metadata` of its version 2.

Source: invoke-ai/InvokeAI, invokeai/app/invocations/metadata.py (CoreMetadata) and
invokeai/app/util (SCHEDULER_NAME_VALUES); ldm/invoke/args.py of version 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sdviz.pictures.recipes.recipe import PictureRecipe, file_stem

_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")  # where version 2's prompt has it
_TAKEN = {
    *("positive_prompt", "negative_prompt", "width", "height", "seed", "cfg_scale", "steps"),
    *("scheduler", "clip_skip", "model", "loras", "vae", "strength", "init_image", "guidance"),
    *("cfg_rescale_multiplier", "seamless_x", "seamless_y", "generation_mode", "rand_device"),
}
_HARMLESS = {"app_version", "canvas_v2_metadata", "_canvas_objects", "clip_embed_model", "type"}


def recipe(values: Mapping[str, Any]) -> PictureRecipe:
    """The recipe of `invokeai_metadata`."""
    out = PictureRecipe()
    out.text("prompt", values.get("positive_prompt") or "")
    out.text("negative", values.get("negative_prompt") or "")
    _sampler(values.get("scheduler"), out)
    out.whole("steps", values.get("steps"))
    out.whole("seed", values.get("seed"))
    distilled = values.get("guidance") is not None  # of Flux; its cfg_scale is the true one
    out.number("cfg", values["guidance"] if distilled else values.get("cfg_scale"))
    if distilled and values.get("cfg_scale") not in (None, 1, 1.0):
        out.omit("cfg_scale", values["cfg_scale"])
    out.number("guidance_rescale", values.get("cfg_rescale_multiplier"))
    out.whole("width", values.get("width"))
    out.whole("height", values.get("height"))
    out.model(_name(values.get("model")))
    if vae := _name(values.get("vae")):
        out.settings["vae"] = vae
    out.whole("clip_skip", values.get("clip_skip"))
    if "clip_skip" in out.settings:  # counted from 0 there
        out.settings["clip_skip"] += 1
    tiled = [bool(values.get(key)) for key in ("seamless_x", "seamless_y")]
    if all(tiled):
        out.settings["tiling"] = True
    elif any(tiled):
        out.omit("seamless_x" if tiled[0] else "seamless_y")
    if values.get("rand_device", "cpu") != "cpu":
        out.omit("rand_device", values["rand_device"])
    mode = str(values.get("generation_mode") or "")
    if "img2img" in mode or values.get("init_image"):
        out.number("strength", values.get("strength"))
        out.remarks.append("made from an image that it does not contain: name it with init=")
    elif not mode.endswith("txt2img") and mode:
        out.omit("generation_mode", mode)
    out.loras(_loras(values.get("loras")))
    out.omit_rest(values, {*_TAKEN, *_HARMLESS})
    return out


def old_recipe(values: Mapping[str, Any]) -> PictureRecipe:
    """The recipe of version 2's `sd-metadata`."""
    out = PictureRecipe()
    image = values.get("image")
    image = image if isinstance(image, dict) else {}
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        prompt = " ".join(str(one.get("prompt", "")) for one in prompt if isinstance(one, dict))
    text = str(prompt or "")
    out.text("prompt", " ".join(_NEGATIVE.sub(" ", text).split()))
    out.text("negative", ", ".join(_NEGATIVE.findall(text)))
    _sampler(str(image.get("sampler") or "").removeprefix("k_"), out)
    for name, key in (("steps", "steps"), ("seed", "seed"), ("width", "width")):
        out.whole(name, image.get(key))
    out.whole("height", image.get("height"))
    out.number("cfg", image.get("cfg_scale"))
    out.model(values.get("model_weights"))
    if image.get("seamless"):
        out.settings["tiling"] = True
    taken = {*_TAKEN, "prompt", "sampler", "seamless", "type"}
    out.omit_rest({k: v for k, v in image.items() if v != 0}, taken)
    return out


def _sampler(value: Any, out: PictureRecipe) -> None:
    """`dpmpp_2m_k`: with Karras' sigmas."""
    name = str(value or "")
    plain = name.removesuffix("_k")
    out.sampler(plain, "karras" if plain != name else "")


def _name(value: Any) -> str:
    """The name of a model, as each version has it."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("model_name") or ""
    return value if isinstance(value, str) else ""


def _loras(several: Any) -> list[tuple[str, Any]]:
    pairs = []
    for one in several if isinstance(several, list) else []:
        if isinstance(one, dict):
            name = _name(one.get("model")) or _name(one.get("lora"))
            pairs.append((file_stem(name), one.get("weight", 1)))
    return pairs
