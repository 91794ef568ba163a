"""Recipes in pictures: of sdviz, stable-diffusion-webui and its relatives, Fooocus, SwarmUI,
InvokeAI, NovelAI and ComfyUI. A module a program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from sdviz.errors import ArchiveError
from sdviz.pictures import files, infotext
from sdviz.pictures.recipes import comfyui, fooocus, invokeai, novelai, swarmui, webui
from sdviz.pictures.recipes.recipe import PictureRecipe
from sdviz.pictures.texts import USER_COMMENT, read_texts
from sdviz.plan.labels import telling
from sdviz.plan.settings import Recipe

__all__ = ["KNOWN", "PictureRecipe", "read_picture"]

KNOWN = (
    "PNG, JPEG and WebP of sdviz, stable-diffusion-webui, Forge, SD.Next, Civitai, Fooocus,"
    " ComfyUI, SwarmUI, InvokeAI and NovelAI"
)
_SETTINGS = {field.name for field in fields(Recipe)}


def read_picture(path: Path) -> PictureRecipe:
    """The recipe in a picture's text. Raises ArchiveError where there is none, or none that is
    known.
    """
    if not path.is_file():
        raise ArchiveError(f"from={path}: there is no such file", key="from")
    try:
        recipe = _recipe(read_texts(path))
    except ArchiveError:
        raise
    except Exception as error:  # a stranger's text makes a reader raise anything
        reason = f"{type(error).__name__}: {error}"[:300]
        raise ArchiveError(f"from={path}: its text cannot be read: {reason}", key="from") from error
    if recipe is None:
        raise ArchiveError(
            f"from={path}: no recipe in it; sdviz reads {KNOWN}, if no other program has removed "
            "their text",
            key="from",
        )
    values = recipe.settings.items()  # JSON may have halves of characters, which are no text
    recipe.settings = {k: infotext.clean(v) if isinstance(v, str) else v for k, v in values}
    return recipe


def _recipe(texts: Mapping[str, str]) -> PictureRecipe | None:
    """The first reader that knows one of the texts has the word. Raises ValueError for a text that
    is damaged.
    """
    readers: list[tuple[str, Callable[[str, Mapping[str, str]], PictureRecipe | None]]] = [
        (files.CHUNK, _sdviz),
        (files.PARAMETERS, _parameters),
        ("invokeai_metadata", _invokeai),
        ("sd-metadata", _invokeai),
        (USER_COMMENT, _comment),
        ("Comment", _comment),
        ("comment", _comment),
        ("Description", _comment),
        ("prompt", _graph),
    ]
    for key, reader in readers:
        if texts.get(key, "").strip():
            recipe = reader(texts[key], texts)
            if recipe is not None:
                return recipe
    return None


def _sdviz(text: str, texts: Mapping[str, str]) -> PictureRecipe | None:
    """sdviz's own JSON; None for that of a grid, or a damaged one: `parameters` are asked then."""
    try:
        settings = json.loads(text)["recipe"]
        known = {k: v for k, v in settings.items() if k in _SETTINGS and v is not None}
        return PictureRecipe({key: known[key] for key in known if key in telling(known)})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _parameters(text: str, texts: Mapping[str, str]) -> PictureRecipe | None:
    if not text.lstrip().startswith("{"):
        return webui.recipe(infotext.read(text))
    recipe = _of_values(_object(text), texts)
    if recipe is None:
        raise ValueError("`parameters` are JSON of a program that sdviz does not know")
    return recipe


def _comment(text: str, texts: Mapping[str, str]) -> PictureRecipe | None:
    """A text that may be anything: a recipe where it is one."""
    if text.lstrip().startswith("{"):
        try:
            return _of_values(_object(text), texts)
        except ValueError:
            return None
    known = infotext.read(text) if len(text) <= infotext.LONGEST else None
    return webui.recipe(known) if known and "Steps" in known.pairs else None


def _of_values(values: Mapping[str, Any], texts: Mapping[str, str]) -> PictureRecipe | None:
    params = values.get(swarmui.PARAMS)
    if isinstance(params, dict):
        return swarmui.recipe(params)
    if fooocus.is_one(values):
        return fooocus.recipe(values)
    if novelai.is_one(values):
        description, source = texts.get("Description", ""), texts.get("Source", "")
        return novelai.recipe(values, description=description, source=source)
    if isinstance(values.get("Comment"), str) and "Comment" not in texts:  # NovelAI's WebP
        return _comment(values["Comment"], {**texts, **_strings(values)})
    if isinstance(values.get("prompt"), dict) and comfyui.is_one(values["prompt"]):
        return comfyui.recipe(values["prompt"])
    return comfyui.recipe(values) if comfyui.is_one(values) else None


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): value for key, value in values.items() if isinstance(value, str)}


def _invokeai(text: str, texts: Mapping[str, str]) -> PictureRecipe | None:
    values = _object(text)
    if isinstance(values.get("image"), dict):
        return invokeai.old_recipe(values)
    return invokeai.recipe(values)


def _graph(text: str, texts: Mapping[str, str]) -> PictureRecipe | None:
    values = _object(text) if text.lstrip().startswith("{") else {}
    return comfyui.recipe(values) if comfyui.is_one(values) else None


def _object(text: str) -> Mapping[str, Any]:
    """Raises ValueError where `text` is no JSON object; NaN, which ComfyUI writes, is None."""
    try:
        values = json.loads(text, parse_constant=lambda name: None)
    except RecursionError:
        raise ValueError("JSON of too many levels") from None
    if not isinstance(values, dict):
        raise ValueError("JSON that is not an object")
    return values
