"""The command `python -m sdviz.sweep cfg=7,15,20`: composes configuration, plan, archive, board and
engine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.commands.terminal import guarded, say, say_error, say_text
from sdviz.errors import BoardError, SdvizError
from sdviz.plan.config import conf_dir
from sdviz.request import setting_keys
from sdviz.request.compose import plain, plan, to_checked
from sdviz.request.foreign_config import check_foreign

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sdviz.plan.config import Config


def main() -> None:
    """The program: exit status 0, 1 (cells failed), 2 (refused), 130 (Ctrl-C), 143 (SIGTERM)."""
    with guarded(lasting=True):  # the sweep does not depend on who reads what it prints
        _main()


def _main() -> None:
    if {"-sc", "--shell-completion"} & {*sys.argv[1:]}:
        from sdviz.commands.sweep.completion import script_for

        if script := script_for(sys.argv[1:]):
            print(script, end="")
            return
    import hydra

    setting_keys.register()
    statuses: list[int] = []
    begun = False

    def task(composed: DictConfig) -> None:
        nonlocal begun
        begun = True
        statuses.append(_job(composed))
        if statuses[-1] > 128:  # interrupted: with -m, no further sweep
            raise SystemExit(statuses[-1])

    try:
        sys.argv[1:] = to_checked(sys.argv[1:], also=check_port)
        if any(argument.startswith(("--config", "-c")) for argument in sys.argv[1:]):
            check_foreign(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="sweep")(task)()
    except SdvizError as error:
        statuses.append(_refuse(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except SystemExit as ended:
        # Hydra exits with 1 after it has reported an error in the configuration.
        raise SystemExit(2 if ended.code == 1 and not begun else ended.code) from None
    raise SystemExit(max(statuses, default=0))


def _job(composed: DictConfig) -> int:
    """One sweep, from the composed configuration to its exit status; errors are printed, not
    raised.
    """
    from hydra.core.hydra_config import HydraConfig

    try:
        raw_config = plain(composed)
        runtime = HydraConfig.get().runtime
        folders = [
            Path(source.path) / "model"
            for source in runtime.config_sources
            if source.schema == "file" and source.provider != "schema"
        ]
        preset = runtime.choices.get("experiment") or ""
        return run(raw_config, folders, preset)
    except SdvizError as error:
        return _refuse(error)


def run(raw_config: dict[str, Any], model_folders: Sequence[Path], preset: str = "") -> int:
    """Reads, plans and computes a sweep. Returns the exit status.

    `raw_config` is the composed configuration as plain values.

    Raises SdvizError for what is refused.
    """
    request = plan(raw_config, model_folders=model_folders, preset=preset, also=check_port)
    if request.config.dry_run:
        from sdviz.commands.sweep.dry_run import describe

        say(*(f"warning: {warning}" for warning in request.warnings), error=True)
        say_text(describe(request))
        return 0
    from sdviz.commands.sweep.conduct import conduct

    return conduct(request)


def _refuse(error: SdvizError) -> int:
    """Says what is wrong, a line each, and gives the exit status."""
    say_error(error)
    return error.exit_status


def check_port(config: Config) -> None:
    """Is visdom.port free, or a Visdom's? Asked before anything expensive. Raises BoardError."""
    if not config.visdom.enabled or config.dry_run:
        return
    from sdviz.web.client.ports import free_port, holder, look

    port = config.visdom.port
    if look(port).kind == "other":
        raise BoardError(
            f"visdom.port={port}: used by {holder(port)}, which is not Visdom; stop it, or choose "
            f"another, such as visdom.port={free_port(port)}",
            key="visdom.port",
        )
