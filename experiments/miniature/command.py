"""The miniature's programs take their settings from conf/config.yaml and the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf


def command(task: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """`task` as a program; it is given all settings, as plain values.

    Hydra names the program, and finds its folder `conf`, by the file that `task` is in.
    """

    @hydra.main(version_base="1.3", config_path="conf", config_name="config")
    @functools.wraps(task)
    def main(config: DictConfig) -> None:
        settings = OmegaConf.to_container(config, resolve=True)
        assert isinstance(settings, dict)
        task({str(name): value for name, value in settings.items()})

    return main
