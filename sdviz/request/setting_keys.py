"""What Hydra gets from the rows of the settings: their keys in the configuration, and their part of
`--help`. conf/sweep.yaml and conf/hydra/help/sweep.yaml name both, and no setting.
"""

from __future__ import annotations

from sdviz.plan.labels import value_label
from sdviz.plan.setting import Setting
from sdviz.plan.settings import SETTINGS

_COLUMN = 19  # characters of a name in `--help`


def register() -> None:
    """Tells Hydra of them; to be called before it composes."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    ConfigStore.instance().store(name="settings", node=keys())
    OmegaConf.register_new_resolver("sdviz_settings", help_lines, replace=True)


def keys() -> dict[str, str | None]:
    """Every key of a setting with its initial value: null, which means the model's default.

    Only the key of the model has another one.
    """
    held: dict[str, str | None] = {}
    for row in SETTINGS.values():
        held[row.root] = row.default if row.key else None
        if row.plural:
            held[row.plural] = None
    return held


def help_lines() -> str:
    """A line per setting; those of one help stand in one line."""
    names: dict[str, list[Setting]] = {}
    for row in SETTINGS.values():
        names.setdefault(row.help, []).append(row)
    return "\n".join(
        f"  {', '.join(row.name for row in rows):<{_COLUMN}} {text}{_default(rows[0])}"
        for text, rows in names.items()
    )


def _default(row: Setting) -> str:
    return f" [{value_label(row.default)}]" if row.default else ""
