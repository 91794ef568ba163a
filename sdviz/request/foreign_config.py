"""Configuration files that are not sdviz's: an archive's config.yaml, or a folder of the user's.

They may be a stranger's. Hydra would make folders, write logs and call functions as their `hydra:`
section says, so only the command line may say that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdviz.errors import ConfigError
from sdviz.plan.config import conf_dir
from sdviz.request import setting_keys

# What Hydra knows of the run itself, and texts that it prints.
_HARMLESS = {"runtime", "overrides", "searchpath", "help", "hydra_help"}
_HARMLESS_OF_JOB = {"name", "config_name", "override_dirname", "id", "num"}


def check_foreign(arguments: Sequence[str]) -> None:
    """Raises ConfigError if the configuration files in the flags change what Hydra does.

    `arguments` are the arguments for Hydra.
    """
    from hydra._internal.utils import get_args_parser

    parsed = get_args_parser().parse_args(list(arguments))
    if (parsed.config_dir, parsed.config_path, parsed.config_name) == (None, None, None):
        return
    where = parsed.config_path or str(conf_dir())
    if not os.path.isabs(where) and not where.startswith("pkg://"):
        raise ConfigError(f"--config-path {where}: give the full path, or --config-dir")
    name = parsed.config_name or "sweep"
    ours = _of_hydra(
        str(conf_dir()), None, "sweep", [one for one in parsed.overrides if _is_hydras(one)]
    )
    theirs = _of_hydra(where, parsed.config_dir, name, parsed.overrides)
    changed = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    if changed:
        raise ConfigError(
            f"{name}: sets hydra.{changed[0]}; a configuration file must not set what Hydra runs "
            "and writes: begin it with `defaults: [sweep, _self_]` and leave its `hydra:` out, or "
            "say it on the command line"
        )


def _is_hydras(override: str) -> bool:
    return override.lstrip("+~").startswith(("hydra.", "hydra/", "hydra@"))


def _of_hydra(
    where: str, further: str | None, name: str, overrides: Sequence[str]
) -> dict[str, Any]:
    """What Hydra would do, composed as Hydra itself does, and nothing of it done."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    setting_keys.register()
    search = create_config_search_path(where)
    if further is not None:
        if not Path(further).is_dir():
            raise ConfigError(f"--config-dir {further}: there is no such folder")
        search.prepend(
            provider="command-line",
            path=f"file://{os.path.abspath(further)}",
            anchor=SearchPathQuery(provider="schema"),
        )
    try:
        composed = Hydra.create_main_hydra2("sweep", search).compose_config(
            name, list(overrides), run_mode=RunMode.RUN, with_log_configuration=False
        )
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(str(error).splitlines()[0]) from None
    finally:
        GlobalHydra.instance().clear()
    settings = OmegaConf.to_container(composed.hydra, resolve=False)
    assert isinstance(settings, dict)
    job = {key: value for key, value in settings["job"].items() if key not in _HARMLESS_OF_JOB}
    plain = {str(key): value for key, value in settings.items() if key not in _HARMLESS}
    return {**plain, "job": job}
