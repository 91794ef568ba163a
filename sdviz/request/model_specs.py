"""What `model=` names: a file of conf/model/, a folder, a checkpoint or a hub id, as ModelSpecs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdviz.errors import ConfigError, ConfigErrors, SdvizError, nearest
from sdviz.plan.config import ModelSpec, read
from sdviz.plan.grammar import parse_words
from sdviz.plan.settings import DEFAULTS, SETTINGS
from sdviz.plan.values import values_of

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_CHECKPOINTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


def model_names(models: Any, model: Any) -> list[str]:
    """The names that the configuration gives, `models` first: a string in the grammar of lists, or
    a list.
    """
    for source in (models, model):
        if source is None or isinstance(source, Mapping):
            continue
        if isinstance(source, list | tuple):
            return [str(name) for name in source]
        return parse_words(str(source))
    return [DEFAULTS["model"]]


def read_spec(name: str, overrides: Mapping[str, Any], folders: Sequence[Path]) -> ModelSpec:
    """The ModelSpec of `name`, overridden by `model.*=` of the command line.

    `folders` hold YAML files of models; the first folder with a file of this name is used. Raises
    ConfigErrors.
    """
    file_values: dict[str, Any] = {}
    file = _file(name, folders)
    if file is not None:
        file_values = _load(file)
    elif _is_place(name):
        file_values = {"id": os.path.expanduser(name)}
    else:
        known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
        raise ConfigError(
            f"model={name}: not a name in conf/model/, a folder, a checkpoint or a hub id "
            f"(owner/name); {nearest(name, known)}",
            key="model",
        )
    values = {"name": name, **file_values, **overrides}
    if name == "hub" and file is not None:  # conf/model/hub.yaml is for any repository
        if not values.get("id"):
            raise ConfigError(
                "model=hub: name the repository with model.id=owner/name", key="model"
            )
        values["name"] = values["id"]
    errors: list[SdvizError] = []
    spec = read(ModelSpec, values, errors, under="model.")
    spec = replace(spec, defaults=_defaults(spec, errors))
    if errors:
        raise ConfigErrors(errors)
    return spec


def _defaults(spec: ModelSpec, errors: list[SdvizError]) -> dict[str, Any]:
    """The spec's `defaults` as values of settings, one each."""
    values: dict[str, Any] = {}
    for key, value in spec.defaults.items():
        path = f"model {spec.name}, defaults.{key}"
        if key not in SETTINGS or key in ("model", "seed"):
            errors.append(
                ConfigError(f"{path}: no such setting; {nearest(str(key), SETTINGS)}", key=path)
            )
            continue
        try:
            several = values_of(key, [value] if SETTINGS[key].kind == "text" else value)
        except ConfigError as error:
            errors.append(ConfigError(f"{path}: {error}", key=path))
            continue
        if len(several) == 1 and several != [-1]:
            values[key] = several[0]
        else:
            errors.append(ConfigError(f"{path}={value!r}: must be one value", key=path))
    return values


def _file(name: str, folders: Sequence[Path]) -> Path | None:
    if not re.fullmatch(r"[\w.-]+", name):
        return None
    return next((path for folder in folders if (path := folder / f"{name}.yaml").is_file()), None)


def _load(file: Path) -> dict[str, Any]:
    """A file of conf/model/ as plain values, its interpolations resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: must contain keys and values")
    return {str(key): value for key, value in content.items()}


def _is_place(name: str) -> bool:
    """Does it look like a path or a hub id? Whether anything is there, sdviz.models finds out."""
    path = Path(os.path.expanduser(name))
    return (
        path.exists()
        or path.is_absolute()
        or name.startswith((".", "~"))
        or path.suffix in _CHECKPOINTS
        or _HUB_ID.fullmatch(name) is not None
    )
