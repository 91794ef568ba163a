"""`from=image.png`: a picture's recipe stands in for every setting that is not given."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.importing import recipe_from_png
from sdviz.axes import quoted
from sdviz.combinations import NEEDS
from sdviz.errors import ArchiveError, ConfigError
from sdviz.plan import ABSORBED, DEFAULTS
from sdviz.settings import PLURALS, SETTINGS

_DEFAULT_MODEL = "miniature"  # what conf/sweep.yaml says where nobody asked for a model


def with_picture(given: Mapping[str, Any], model_folders: Sequence[Path]) -> dict[str, Any]:
    """`given` without `from`, and with the picture's settings where it has null.

    The picture's model is taken where it is known here by that name and none was asked for; else a
    warning says which it was. Raises ConfigError where the picture holds no recipe.
    """
    known = dict(given)
    picture = known.pop("from", None)
    if not picture:
        return known
    try:
        recipe = recipe_from_png(Path(str(picture)).expanduser())
    except ArchiveError as error:
        raise ConfigError(str(error)) from error
    model = recipe.pop("model", None)
    if model and known.get("models") in (None, _DEFAULT_MODEL) and model != _DEFAULT_MODEL:
        if any((folder / f"{model}.yaml").is_file() for folder in model_folders):
            known["models"] = model
        else:
            print(
                f"warning: from={picture}: made by model {model!r}, which is not here;"
                f" model={_DEFAULT_MODEL} stands in for it",
                file=sys.stderr,
            )
    _leave_out_absent(recipe, known, picture)
    for name in ABSORBED:
        recipe.pop(name, None)
    for name, (needed, _) in NEEDS.items():  # what did nothing there is not asked for here
        if known.get(needed) is None and recipe.get(needed) in (None, DEFAULTS[needed]):
            recipe.pop(name, None)
    several = {one for plural, one in PLURALS.items() if known.get(plural) is not None}
    for name, value in recipe.items():
        if known.get(name) is None and name not in several:
            known[name] = _typed(name, value)
    return known


def _typed(name: str, value: Any) -> Any:
    """The setting's value so that it is read as what it is, whatever commas and quotes it has."""
    if not isinstance(value, str):
        return value
    if name in PLURALS.values():
        return [value]  # in a list a prompt stands for itself
    return quoted(value) if SETTINGS[name].kind == "word" else value


def _leave_out_absent(recipe: dict[str, Any], given: Mapping[str, Any], picture: Any) -> None:
    """Takes a LoRA or a VAE that is not here out of the recipe, with a warning:
    stable-diffusion-webui tells its name, and not where it is.
    """
    for key in ("lora", "vae", "embedding"):
        name = str(recipe.get(key, ""))
        if name and given.get(key) is None and not _may_be_here(name):
            del recipe[key]
            recipe.pop(f"{key}_scale", None)
            print(
                f"warning: from={picture}: made with {key}={name}, which is not here: left out"
                f" unless you give {key}=",
                file=sys.stderr,
            )


def _may_be_here(name: str) -> bool:
    """A path that exists, or what may be a hub id, of which the check of models says more."""
    return "/" in name or Path(name).expanduser().exists()
