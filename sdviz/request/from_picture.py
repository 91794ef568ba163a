"""`from=image.png`: every setting without a value takes that of the picture's recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.guard import guarded
from sdviz.archive.paths import DATABASE
from sdviz.errors import ArchiveError, ConfigError, SdvizError
from sdviz.pictures.recipes import PictureRecipe, read_picture
from sdviz.plan import loras
from sdviz.plan.labels import place_name, shareable
from sdviz.plan.settings import DEFAULTS, SETTINGS, names
from sdviz.plan.values import entries, entry, plain

_CHECKPOINTS = (".safetensors", ".ckpt")


def with_picture(
    raw_config: Mapping[str, Any], model_folders: Sequence[Path], warnings: list[str]
) -> dict[str, Any]:
    """`raw_config` without `from`, and with the picture's settings in place of null.

    The picture's model is used if it is available under that name and you name no model. Parts of
    the recipe that cannot be repeated, and files that are not available, are added to `warnings`.
    Raises ConfigError if the picture holds no recipe.
    """
    known = dict(raw_config)
    picture = known.pop("from", None)
    if not picture:
        return known
    path = Path(str(picture)).expanduser()
    try:
        read = recipe_of_picture(path)
    except ArchiveError as error:
        raise ConfigError(str(error), key="from") from error
    recipe = dict(read.settings)
    picture = path.name  # what is warned of is archived, and may be shown to others
    warnings += [f"from={picture}: {warning}" for warning in read.warnings]
    model = recipe.pop("model", None)
    usual = DEFAULTS["model"]
    if model and entry(known, "model")[1] in (None, usual) and model != usual:
        if _is_model(str(model), model_folders):
            known |= entries("model", [str(model)])
        else:
            warnings.append(
                f"from={picture}: made by model {model!r}, which is not available here; using "
                f"model={usual} instead"
            )
    warnings += _leave_out_absent(recipe, known, picture)
    for name, value in recipe.items():
        if not _is_idle(name, recipe, known) and entry(known, name)[1] is None:
            known[SETTINGS[name].root] = plain(name, [value])
    return known


def _is_idle(name: str, recipe: Mapping[str, Any], raw_config: Mapping[str, Any]) -> bool:
    """Whether the picture's setting has no effect, both there and here."""
    row = SETTINGS[name]
    needed = row.needs.partition("=")[0]
    if needed and raw_config.get(needed) is None and recipe.get(needed) in (None, DEFAULTS[needed]):
        return True
    return row.absorbed


def recipe_of_picture(path: Path) -> PictureRecipe:
    """The recipe in a picture's text. Raises ArchiveError.

    A picture has only the names of files. Their paths come from the archive that the picture is
    in, or else from its folder.
    """
    read = read_picture(path)
    known = _archived(path)
    for key, value in shareable(known).items():
        if key in read.settings and read.settings[key] == value:
            read.settings[key] = known[key]
    for key in names(lambda row: row.content in ("pixels", "file", "words")):
        name = read.settings.get(key)
        if isinstance(name, str) and name:
            several = loras.names(name) if key == "lora" else [name]
            read.settings[key] = "+".join(_in_folder(path.parent, one) for one in several)
    return read


def _in_folder(folder: Path, name: str) -> str:
    """The file of this name in the picture's folder, unless `name` itself is a file."""
    if Path(name).expanduser().exists() or place_name(name) != name:
        return name
    files = (folder / f"{name}{ending}" for ending in ("", *_CHECKPOINTS))
    return next((str(file) for file in files if file.exists()), name)


def _archived(path: Path) -> dict[str, Any]:
    """The recipe of the cell that this picture is, out of the archive that it lies in; {} where it
    lies elsewhere.
    """
    folder = path.parent.parent
    if path.parent.name != "images" or not (folder / DATABASE).is_file():
        return {}
    try:
        with guarded(folder) as archive:
            of_image = (cell for cell in archive.everything if cell.image == f"images/{path.name}")
            return dict(next((cell.recipe for cell in of_image), {}))
    except SdvizError:
        return {}


def _is_model(name: str, folders: Sequence[Path]) -> bool:
    """A file of conf/model/, or a model in diffusers' layout or a checkpoint at that path."""
    path = Path(name).expanduser()
    return (
        any((folder / f"{name}.yaml").is_file() for folder in folders)
        or (path / "model_index.json").is_file()
        or (path.suffix in _CHECKPOINTS and path.is_file())
    )


def _leave_out_absent(
    recipe: dict[str, Any], raw_config: Mapping[str, Any], picture: Any
) -> list[str]:
    """Removes LoRAs and VAEs that are not available from the recipe, and returns the warnings.

    Other programs write the name of such a file, but not its folder.
    """
    warnings = []
    for key in names(lambda row: row.content in ("file", "words")):
        name = str(recipe.get(key, ""))
        parts = loras.names(name) if key == "lora" else [name]
        if name and raw_config.get(key) is None and not all(map(_may_be_here, parts)):
            del recipe[key]
            recipe.pop(f"{key}_scale", None)
            warnings.append(
                f"from={picture}: made with {key}={name}, which is not available here: left out "
                f"unless you give {key}="
            )
    return warnings


def _may_be_here(name: str) -> bool:
    """A path that exists, or what may be a hub id, of which the check of models says more."""
    return "/" in name or Path(name).expanduser().exists()
