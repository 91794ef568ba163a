"""Prepares the command line for Hydra: settings become strings of the configuration.

Hydra would split `prompt=a castle, sunset` into two jobs, and it cannot parse `cfg='1-20 [5]'`. The
values of settings are therefore quoted here, and parsed later by sdviz.plan.values. Everything else
is left to Hydra, after a check of its keys and syntax. So a typing error gives one line of text and
not a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import get_type_hints

from sdviz.errors import ConfigError, ConfigErrors, SdvizError, nearest
from sdviz.plan.config import Config, ModelSpec, conf_dir, keys_of
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import entries, plurals, setting_of

# Root keys, other than settings, whose values are taken as typed: file names and rules are full of
# Hydra's signs.
_RAW = (
    *("exclude", "outputs", "name", "from", *plurals()),
    *("score", "score_clip", "score_aesthetic", "caption"),
)
_OTHER = ("zip", "order", "drawn_seeds")
_GROUPS = ("preview", "visdom", "engine", "experiment")
_FOREIGN_CONFIG = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd")
_TAKES_VALUE = ("--cfg", "-c", "--package", "-p", "--experimental-rerun", *_FOREIGN_CONFIG)
_MAY_TAKE_VALUE = ("--info", "-i")
_MULTIRUN = ("-m", "--multirun")
_COMPLETION = ("-sc", "--shell-completion")

# What other programs call our keys, without signs between the words.
_ELSEWHERE = {
    **{word: name for name, row in SETTINGS.items() for word in row.elsewhere},
    "size": "width= and height=, in pairs by zip=[[width,height]]",
    "resolution": "width= and height=, in pairs by zip=[[width,height]]",
    "batchsize": "samples",
    "batchcount": "rounds",
    "niter": "rounds",
    "output": "outputs",
    "outdir": "outputs",
}

_KEYED = re.compile(r"~|\+{0,2}[\w./@:-]+=")  # `~key` takes a key out
_OVERRIDE = re.compile(r"\+{0,2}(?P<key>[A-Za-z_][\w./@-]*)=(?P<value>.*)", re.DOTALL)


def to_hydra(arguments: Sequence[str]) -> list[str]:
    """Hydra's arguments for those that the user typed (without the program's name).

    Settings become quoted strings. `order` records the order in which they were typed, which is
    the order of the axes. Flags move to the end, because argparse needs all overrides in one place.
    Raises ConfigErrors with all errors of keys and syntax; its `sound` has Hydra's arguments for
    the valid rest.
    """
    if any(argument in _COMPLETION for argument in arguments):
        return list(arguments)
    overrides, flags = _apart(arguments)
    multirun = any(flag in _MULTIRUN for flag in flags)
    foreign = any(flag.partition("=")[0] in _FOREIGN_CONFIG for flag in flags)
    out: list[str] = []
    typed: list[str] = []
    errors: list[SdvizError] = []
    for argument in overrides:
        override = _OVERRIDE.fullmatch(argument)
        key = override["key"] if override else ""
        try:
            if override and (key in SETTINGS or key in _RAW):
                setting = setting_of(key) or key
                if setting in typed:
                    raise ConfigError(
                        f"{key}: {setting} is given twice; give all its values in one list",
                        key=key,
                    )
                typed.append(setting)
                out.extend(_quoted(key, override["value"]))
            else:
                _check(argument, multirun=multirun, foreign=foreign)
                out.append(argument)
        except ConfigError as error:
            errors.append(error)
    settings = [name for name in typed if name in SETTINGS]
    if settings and not any(argument.startswith("order=") for argument in out):
        out.append(f"order=[{','.join(settings)}]")
    if errors:
        raise ConfigErrors(errors, [*out, *flags])
    return [*out, *flags]


def _apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides and flags, the flags with their values."""
    overrides: list[str] = []
    flags: list[str] = []
    before = ""
    for argument in arguments:
        is_value = before in _TAKES_VALUE or (before in _MAY_TAKE_VALUE and "=" not in argument)
        is_flag = argument.startswith("-") or is_value
        (flags if is_flag else overrides).append(argument)
        before = "" if is_value else argument
    return overrides, flags


def _quoted(key: str, value: str) -> list[str]:
    """Hydra's overrides that store `value` as it stands; a setting switches its plural off, and the
    reverse.
    """
    held = entries(key, value) if setting_of(key) else {key: value}
    literal = key in SETTINGS and SETTINGS[key].kind == "text"
    return [
        f"{name}={'null' if text is None else quote(text, literal=literal)}"
        for name, text in held.items()
    ]


def quote(text: str, *, literal: bool = True) -> str:
    """`text` as a quoted string of Hydra's grammar; `literal`: `${...}` in it is no interpolation.

    Inside quotes Hydra undoes backslashes before a quote only, and OmegaConf those before `${`
    only.
    """
    if literal:
        text = escape_interpolation(text)
    text = re.sub(r"(\\*)'", lambda match: match[1] * 2 + "\\'", text)
    trailing = len(text) - len(text.rstrip("\\"))
    return f"'{text}{text[len(text) - trailing :]}'"


def escape_interpolation(text: str) -> str:
    """`text` escaped for OmegaConf, so that `${` in it is plain text."""
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", text)


def _check(argument: str, *, multirun: bool, foreign: bool) -> None:
    """Is this a well-formed override of a key that exists? `foreign`: configuration of the user's
    own is in use.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if not _KEYED.match(argument):
        raise ConfigError(
            f"`{argument}`: not key=value, such as 'prompt=a castle' or cfg=7",
            key=argument.partition("=")[0],
        )
    try:
        (override,) = OverridesParser.create().parse_overrides([argument])
    except HydraException as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"`{argument}`: not key=value as Hydra reads it ({reason}); quote a value with special "
            "characters twice: \"key='a value'\"",
            key=argument.partition("=")[0],
        ) from None
    key = override.key_or_group
    if override.is_add() or override.is_delete() or key.partition(".")[0] == "hydra":
        return
    if override.is_sweep_override() and key == "zip":
        raise ConfigError(
            f"`{argument}`: must be a list in brackets, such as zip=[[cfg,steps]]", key="zip"
        )
    known = foreign or key.partition(".")[0] in _known()
    if override.is_sweep_override() and not multirun and known:
        raise ConfigError(
            f"`{argument}`: {key} cannot be an axis, only settings can ({', '.join(SETTINGS)}); "
            "add -m to run one sweep after another",
            key=key,
        )
    if foreign:
        return
    if key in _GROUPS:
        _check_option(key, argument.partition("=")[2])
    else:
        _check_key(key)


def _check_option(group: str, text: str) -> None:
    """Does conf/<group>/ have this file? Lists and sweeps are left to Hydra."""
    option = text.strip("'\"")
    known = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    if re.fullmatch(r"[\w.-]+", option) and option not in (*known, "null"):
        raise ConfigError(f"{group}={option}: no such preset; {nearest(option, known)}", key=group)


def _check_key(key: str) -> None:
    """Whether such a key exists. Walks the dataclasses, so `visdom.prt` is not `visdom.port`."""
    first, *rest = key.split(".")
    if first not in _known():
        raise ConfigError(f"{key}: unknown key; {_hint(first)}", key=key)
    kind = ModelSpec if first == "model" else get_type_hints(Config).get(first)
    for depth, part in enumerate(rest, 1):
        if kind is ModelSpec and part == "defaults":
            return
        inner = keys_of(kind) if isinstance(kind, type) and is_dataclass(kind) else []
        if part not in inner:
            above = ".".join([first, *rest[: depth - 1]])
            paths = [f"{above}.{name}" for name in inner]
            hint = nearest(key, paths) if inner else f"{above} has no keys below it"
            raise ConfigError(f"{key}: unknown key; {hint}", key=key)
        kind = get_type_hints(kind)[part] if kind else None


def _known() -> list[str]:
    """Every key at the root of the configuration."""
    return [*SETTINGS, *_RAW, *_OTHER, *_GROUPS, *keys_of(Config)]


def _hint(key: str) -> str:
    """What a key that does not exist may have meant."""
    ours = _ELSEWHERE.get(re.sub(r"[\W_]", "", key).casefold())
    if ours:
        return f"in sdviz it is {ours}"
    near = nearest(key, dict.fromkeys(_known()))
    return near if near.startswith("did") else "--help and --cfg job list all keys"
