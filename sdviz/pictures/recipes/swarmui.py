"""SwarmUI's `sui_image_params`. Source: mcmonkeyprojects/SwarmUI, docs/Image Metadata Format.md and
src/Text2Image/T2IParamTypes.cs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdviz.pictures.recipes.recipe import PictureRecipe, file_stem

PARAMS = "sui_image_params"
_TAKEN = {
    *("prompt", "negativeprompt", "model", "seed", "steps", "cfgscale", "width", "height"),
    *("sampler", "scheduler", "vae", "loras", "loraweights", "variationseed", "clipstopatlayer"),
    *("variationseedstrength", "fluxguidancescale", "seamlesstileable", "initimagecreativity"),
    "initimage",
}
_HARMLESS = {
    *("aspectratio", "swarm_version", "date", "generation_time", "images", "batchsize", "preview"),
    *("nopreviews", "wildcardseed", "imageformat", "original_prompt", "used_wildcards"),
    *("automaticvae", "donotsave", "personalnote", "outpathformat", "original_negativeprompt"),
    *("outputintermediateimages", "modelspecificenhancements", "colordepth", "sidelength"),
}


def recipe(values: Mapping[str, Any]) -> PictureRecipe:
    """The recipe of SwarmUI's parameters."""
    out = PictureRecipe()
    out.text("prompt", values.get("prompt", ""))
    out.text("negative", values.get("negativeprompt", ""))
    out.sampler(values.get("sampler"), values.get("scheduler"))
    out.whole("steps", values.get("steps"))
    out.whole("seed", values.get("seed"))
    if "fluxguidancescale" in values:  # a guidance-distilled model: that scale is its CFG scale
        out.number("cfg", values["fluxguidancescale"])
        if values.get("cfgscale") not in (None, 1, "1"):
            out.omit("cfgscale", values["cfgscale"])
    else:
        out.number("cfg", values.get("cfgscale"))
    out.whole("width", values.get("width"))
    out.whole("height", values.get("height"))
    out.model(values.get("model"))
    if values.get("vae") not in (None, "", "None", "Automatic"):
        out.settings["vae"] = str(values["vae"])
    out.whole("variation_seed", values.get("variationseed"))
    out.number("variation_strength", values.get("variationseedstrength"))
    out.whole("clip_skip", values.get("clipstopatlayer"))  # -2 is the last but one
    if "clip_skip" in out.settings:
        out.settings["clip_skip"] = abs(out.settings["clip_skip"])
    if values.get("seamlesstileable") in (True, "true"):
        out.settings["tiling"] = True
    elif values.get("seamlesstileable") not in (None, "", "false", False):
        out.omit("seamlesstileable", values["seamlesstileable"])
    if "initimage" in values or "initimagecreativity" in values:
        out.number("strength", values.get("initimagecreativity"))
        out.remarks.append("made from an image that it does not contain: name it with init=")
    out.loras(_loras(values))
    out.omit_rest(values, {*_TAKEN, *_HARMLESS})
    return out


def _loras(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    names, weights = values.get("loras"), values.get("loraweights")
    names = names.split(",") if isinstance(names, str) else names
    weights = weights.split(",") if isinstance(weights, str) else weights
    if not isinstance(names, list):
        return []
    weights = weights if isinstance(weights, list) else []
    filled = [*weights, *[1] * (len(names) - len(weights))]
    return [(file_stem(str(n)), w) for n, w in zip(names, filled, strict=False) if n]
