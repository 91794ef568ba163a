"""From words to a configuration and a request, inside a program: studies and the live page."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdviz.commandline import to_hydra
from sdviz.errors import ConfigError
from sdviz.paths import conf_dir

if TYPE_CHECKING:
    from sdviz.request import Request


def compose(arguments: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The configuration of `python -m sdviz.sweep <arguments>` as plain values, and its preset.

    Raises ConfigError(s) where Hydra or sdviz does not understand them.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    overrides = to_hydra(arguments)
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            composed = hydra_compose("sweep", overrides, return_hydra_config=True)
        preset = str(composed.hydra.runtime.choices.get("experiment") or "")
        own = [str(key) for key in composed if key != "hydra"]
        given = OmegaConf.to_container(OmegaConf.masked_copy(composed, own), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(str(error).splitlines()[0]) from None
    assert isinstance(given, dict)
    return {str(key): value for key, value in given.items()}, preset


def prepare(arguments: Sequence[str]) -> Request:
    """The request that `python -m sdviz.sweep <arguments>` would run; nothing is computed yet.

    Raises ConfigErrors with everything that is wrong with it.
    """
    from sdviz.request import read_request
    from sdviz.sweep import check_port, recorded_seeds

    given, preset = compose(arguments)
    return read_request(
        given,
        recorded=recorded_seeds,
        draw=lambda: secrets.randbelow(2**32),
        model_folders=[conf_dir() / "model"],
        preset=preset,
        also=check_port,
    )
