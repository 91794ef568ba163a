"""stable-diffusion-webui's `parameters`, as Forge, SD.Next and Civitai write them too.

Source: AUTOMATIC1111/stable-diffusion-webui 1.10, modules/processing.py (create_infotext) and
modules/extra_networks.py; lllyasviel/stable-diffusion-webui-forge (Distilled CFG Scale, Module).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from sdviz.pictures.infotext import Infotext
from sdviz.pictures.recipes.recipe import PictureRecipe
from sdviz.plan.setting import Setting
from sdviz.plan.settings import SETTINGS

_NETWORK = re.compile(r"<(lora|lyco|hypernet):([^<>]*)>")
# Keys that say nothing of the pixels, or that others say already.
_HARMLESS = {
    *("Model hash", "VAE hash", "Lora hashes", "TI hashes", "Hashes", "Version", "User", "App"),
    *("Created Date", "Batch size", "Batch pos", "Denoise time", "Init image hash", "Operations"),
    *("Pipeline", "Backend", "Parser", "workflow", "baseModel", "Time taken", "Lora hashes"),
    *("Script", "X Type", "X Values", "Y Type", "Y Values", "Z Type", "Z Values"),
    *("sdviz cell", "sdviz key"),
}
# Keys that are read here one by one; the others come from the rows of settings.
_TAKEN = {
    *("Sampler", "Schedule type", "Size", "width", "height", "Model", "VAE", "Denoising strength"),
    *("Distilled CFG Scale", "Hires resize", "Eta DDIM", "RNG", "ENSD", "Civitai resources"),
    *(name for row in SETTINGS.values() for name in (row.pair, *row.infotext_reads)),
}
_SAME = "Use same"  # how a value begins that asks for nothing of its own


def recipe(text: Infotext) -> PictureRecipe:
    """The recipe of a `parameters` text."""
    out = PictureRecipe()
    pairs = text.pairs
    out.settings["prompt"] = _networks(text.prompt, out)
    out.settings["negative"] = text.negative
    out.sampler(pairs.get("Sampler"), pairs.get("Schedule type"), key="Schedule type")
    for row in SETTINGS.values():
        if not row.absorbed:
            _setting(row, pairs, out)
    _cfg(pairs, out)
    if out.settings.get("sampler", "").startswith("DDIM"):
        out.number("eta", pairs.get("Eta DDIM"))
    out.size(pairs.get("Size") or f"{pairs.get('width')}x{pairs.get('height')}")
    if pairs.get("Model"):
        out.settings["model"] = pairs["Model"]
    if pairs.get("VAE") and pairs["VAE"] not in ("None", "Automatic"):
        out.settings["vae"] = pairs["VAE"]
    if embeddings := pairs.get("TI hashes"):
        names = ", ".join(one.partition(":")[0].strip() for one in embeddings.split(","))
        out.remarks.append(
            f"made with embeddings: without embedding=<folder>, {names} is plain text"
        )
    _second_pass(pairs, out)
    _rest(pairs, out)
    return out


def _networks(prompt: str, out: PictureRecipe) -> str:
    """The prompt without its `<lora:name:scale>`; the LoRAs that it names go to `out`."""
    kept, end = "", 0
    loras: list[tuple[str, str]] = []
    for match in _NETWORK.finditer(prompt):
        kept = (kept + prompt[end : match.start()]).rstrip(" ,")
        end = match.end()
        kind, content = match.groups()
        if kind == "hypernet":
            out.omit("hypernet", content)
            continue
        name, *words = content.split(":")
        values = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        te = values.pop("te", plain[0] if plain else "1").strip()
        unet = values.pop("unet", plain[1] if len(plain) > 1 else te).strip()
        loras.append((name.strip(), unet))
        if te != unet:
            out.omit(f"{name.strip()} at {te} in the text encoder", "")
        for key, value in (*values.items(), *(("dyn", word) for word in plain[2:])):
            out.omit(f"{name.strip()} {key}", value)
    out.loras(loras)
    kept += prompt[end:]
    return (kept.lstrip(" ,") if end else kept).strip()


def _cfg(pairs: Mapping[str, str], out: PictureRecipe) -> None:
    """Forge's distilled scale is the one that a guidance-distilled model (Flux) takes here; the
    true one is 1 there, and the negative prompt is not heeded.
    """
    if "Distilled CFG Scale" not in pairs:
        return
    out.number("cfg", pairs["Distilled CFG Scale"])
    if pairs.get("CFG scale", "1") in ("1", "1.0"):
        out.settings["negative"] = ""
    else:
        out.omit("CFG scale", pairs["CFG scale"])


def _setting(row: Setting, pairs: Mapping[str, str], out: PictureRecipe) -> None:
    """A setting that has a pair of its own. What stable-diffusion-webui has no word for was written
    by sdviz, and stands as text.
    """
    text = next((pairs[name] for name in (row.pair, *row.infotext_reads) if pairs.get(name)), "")
    if not row.infotext and row.pair in pairs:
        out.text(row.name, text)
    elif row.composed or not text:
        return
    elif row.kind == "int":
        out.whole(row.name, text)
    elif row.kind == "float":
        out.number(row.name, text)
    elif row.kind == "flag":
        out.settings |= {row.name: True} if text == "True" else {}
    else:
        ours = {theirs: value for value, theirs in row.infotext_values.items()}
        if text in ours or (not row.choices and re.fullmatch(row.pattern[0] or ".*", text)):
            out.settings[row.name] = ours.get(text, text)


def _second_pass(pairs: Mapping[str, str], out: PictureRecipe) -> None:
    """The hires pass, or an image that the picture was made from."""
    settings = out.settings
    if "Hires resize" in pairs and "Hires upscale" not in pairs:
        _resized(pairs["Hires resize"], out)
    is_hires = "hires_scale" in settings and "init" not in settings
    out.number("hires_strength" if is_hires else "strength", pairs.get("Denoising strength"))
    if "strength" in settings and "init" not in settings:
        out.remarks.append("made from an image that it does not contain: name it with init=")
    upscaler = pairs.get("Hires upscaler")
    if upscaler and "hires_upscaler" not in settings:
        out.remarks.append(f"sdviz has no upscaler {upscaler}: uses latent instead")


def _resized(size: str, out: PictureRecipe) -> None:
    """The hires pass by the size that it ends with; a side of 0 follows from the other.

    Where the shape differs, stable-diffusion-webui crops: the scale that stays within `size` takes
    its place.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size.strip())
    width, height = out.settings.get("width"), out.settings.get("height")
    sides = [int(side) for side in match.groups()] if match else []
    if not any(sides) or not width or not height:
        out.omit("Hires resize", size)
        return
    scales = [new / old for new, old in zip(sides, (width, height), strict=True) if new]
    out.settings["hires_scale"] = min(scales)
    if max(scales) - min(scales) > 1e-9:
        out.remarks.append(
            f"Hires resize: {size} is of another shape than {width}x{height}, and was cropped: "
            f"hires_scale={min(scales):g} is used instead"
        )


def _rest(pairs: Mapping[str, str], out: PictureRecipe) -> None:
    """What is not done again, by the text's own keys: whatever is not taken and not harmless."""
    if pairs.get("RNG", "CPU") != "CPU":  # sdviz draws its noise there, too
        out.omit("RNG", pairs["RNG"])
    if pairs.get("ENSD", "0") != "0":
        out.omit("ENSD", pairs["ENSD"])
    if pairs.get("Emphasis", "Original") not in ("None", "Original"):
        out.omit("Emphasis", pairs["Emphasis"])
    if "Civitai resources" in pairs:
        out.omit("Civitai resources", _resources(pairs["Civitai resources"]))
    for key, value in pairs.items():
        if key in _TAKEN or key in _HARMLESS or not value:
            continue
        if value in ("None", "False", "{}", "[]") or value.startswith(_SAME):
            continue
        if key == "Hires CFG Scale" and value == pairs.get("CFG scale"):
            continue
        out.omit(key, value)


def _resources(text: str) -> str:
    """Civitai's list as text: its kinds and names."""
    try:
        several = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(several, list):
        return text
    words = []
    for one in several:
        if isinstance(one, dict):
            name = one.get("modelName") or one.get("modelVersionId") or ""
            weight = one.get("weight")
            scale = f" ({weight})" if isinstance(weight, int | float) and weight != 1 else ""
            words.append(f"{one.get('type', '')} {name}{scale}".strip())
    return "; ".join(words)
