"""config.yaml, written so that Hydra reads every value back as it was."""

from __future__ import annotations

import re
from typing import Any

import yaml

# What OmegaConf takes for a number and YAML itself does not: 1e5, 1_000, inf. A text that looks so
# is quoted. (omegaconf, _utils.get_yaml_loader.)
_NUMBER = re.compile(
    r"[-+]?(\d[\d_]*)(\.[\d_]*)?([eE][-+]?\d+)?|[-+]?\.[\d_]+([eE][-+]?\d+)?"
    r"|[-+]?\.?(inf|Inf|INF)|\.?(nan|NaN|NAN)|[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?"
)


class _Dumper(yaml.SafeDumper):
    """Quotes texts that a reader could take for something else."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "'" if _NUMBER.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(config: Any) -> str:
    """`config`, plain values, as YAML."""
    text: str = yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
