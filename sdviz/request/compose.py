"""From words to a configuration and a request: for the commands, and inside a program, such as a
study.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.errors import ConfigError, ConfigErrors, SdvizError
from sdviz.plan.config import conf_dir
from sdviz.regular_files import read_regular
from sdviz.request import setting_keys
from sdviz.request.command_line import to_hydra

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sdviz.plan.config import Config
    from sdviz.request.request import Request


Check = Callable[["Config"], None]  # a further check of the caller's; raises SdvizError


def no_check(config: Config) -> None:
    """The caller has nothing more to check."""


_LARGEST_CONFIG = 2 << 20  # bytes of an archive's config.yaml that is read for its seeds


def prepare(arguments: Sequence[str], *, also: Check = no_check) -> Request:
    """The request that `python -m sdviz.sweep <arguments>` would run; nothing is computed yet.

    Raises ConfigErrors with everything that is wrong with it.
    """
    raw_config, preset = _compose(to_checked(arguments, also=also))
    return plan(raw_config, preset=preset, also=also)


def to_checked(arguments: Sequence[str], *, also: Check = no_check) -> list[str]:
    """sdviz.request.command_line.to_hydra; but where it finds faults, those that only reading and
    planning the rest can find are reported with them. Raises ConfigErrors.
    """
    try:
        return to_hydra(arguments)
    except ConfigErrors as slips:
        raise ConfigErrors([*slips.errors, *_faults(slips.sound, also)]) from None


def _faults(overrides: Sequence[str], also: Check) -> list[SdvizError]:
    """What is wrong with a sweep of these overrides of Hydra's; with flags, that is not known."""
    if any(override.startswith("-") for override in overrides):
        return []
    try:
        raw_config, preset = _compose(overrides)
        plan(raw_config, preset=preset, also=also)
    except SdvizError as error:
        return list(error.each())
    return []


def compose(arguments: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The configuration of `python -m sdviz.sweep <arguments>` as plain values, and its preset.

    Raises ConfigError(s) where Hydra or sdviz does not understand them.
    """
    return _compose(to_hydra(arguments))


def _compose(overrides: Sequence[str]) -> tuple[dict[str, Any], str]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    setting_keys.register()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            composed = hydra_compose("sweep", list(overrides), return_hydra_config=True)
    except HydraException as error:
        raise ConfigError(str(error).splitlines()[0]) from None
    preset = str(composed.hydra.runtime.choices.get("experiment") or "")
    keys = [str(key) for key in composed if key != "hydra"]
    return plain(OmegaConf.masked_copy(composed, keys)), preset


def plain(composed: DictConfig) -> dict[str, Any]:
    """A configuration's plain values. Raises ConfigError where an interpolation leads nowhere."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from None
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def plan(
    raw_config: Mapping[str, Any],
    *,
    model_folders: Sequence[Path] = (),
    preset: str = "",
    also: Check = no_check,
) -> Request:
    """`raw_config`, a configuration's plain values, read, checked and planned on this machine.

    -1 draws a seed unless an archive of the same command has one. `model_folders` have the models'
    YAML files; none: conf/model/. Raises ConfigErrors with everything that is wrong.
    """
    from sdviz.request.request import read_request

    return read_request(
        raw_config,
        recorded=recorded_seeds,
        draw=lambda: secrets.randbelow(2**32),
        model_folders=model_folders or [conf_dir() / "model"],
        preset=preset,
        also=also,
    )


def recorded_seeds(outputs: Path, name: str) -> tuple[str, list[int]]:
    """The signature and the drawn seeds of an archive of that name; ("", []) where there is none to
    be read.
    """
    import yaml

    try:
        text = read_regular(outputs / name / "config.yaml", _LARGEST_CONFIG).decode("utf-8")
        content = yaml.safe_load(text)
        seeds = [int(seed) for seed in content["drawn_seeds"]]
        return str(content["signature"]), seeds
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        return "", []
