"""The first reading of a configuration: typed values of every setting, models and rules, faults
gathered on the way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz import models
from sdviz.errors import ConfigError, ConfigErrors, SdvizError, nearest
from sdviz.plan import loras
from sdviz.plan.config import Config, ModelSpec, read
from sdviz.plan.grammar import split_list, unquote
from sdviz.plan.rules import Rule, parse_rule
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import entry, one_value, setting_of, values_of
from sdviz.request import prompt_lines
from sdviz.request.model_specs import model_names, read_spec

if TYPE_CHECKING:
    from sdviz.models import ModelInfo

# Root keys, other than settings, that are read here by hand; the rest are fields of Config.
_BY_HAND = {"zip", "exclude", "order", "drawn_seeds", "instead"}
_IGNORED = {"signature", "defaults", "hydra", "from"}


@dataclass
class Draft:
    """What a configuration asks for, as far as it could be read; faults are in `errors`."""

    raw_config: Mapping[str, Any]
    config: Config = field(default_factory=Config)
    errors: list[SdvizError] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)  # by setting, in the order typed
    zipped: list[list[str]] = field(default_factory=list)
    rule_texts: list[str] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)  # settings of which not all could be read
    grid_is_known: bool = True  # nothing is wrong with `zip` and `exclude`, nor with what they pair
    infos: dict[str, ModelInfo] = field(default_factory=dict)  # by the model's name

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """An error inside is noted, and what comes after goes on."""
        try:
            yield
        except ConfigErrors as several:
            self.errors.extend(several.errors)
        except SdvizError as error:
            self.errors.append(error)

    def raise_errors(self) -> None:
        if self.errors:
            raise ConfigErrors(self.errors)


def read_draft(raw_config: Mapping[str, Any], model_folders: Sequence[Path]) -> Draft:
    """Reads `raw_config`, the composed configuration as plain values.

    Raises nothing: faults are collected in `errors`.
    """
    draft = Draft({})
    draft.raw_config = _with_counterparts(
        {key: _as_text(value, key, draft.errors) for key, value in raw_config.items()}
    )
    with draft.collecting():
        if draft.raw_config.get("prompts"):
            draft.raw_config = prompt_lines.with_lines(draft.raw_config)
    rest = {
        key: value
        for key, value in draft.raw_config.items()
        if not setting_of(key) and key not in _BY_HAND | _IGNORED
    }
    config = read(Config, rest, draft.errors)
    draft.config = replace(config, models=_read_models(draft, model_folders))
    for name in _order(draft):
        draft.values[name] = _sound_values(draft, name)
    before = len(draft.errors)
    _read_zip(draft)
    _read_rules(draft)
    whole = [group for group in draft.zipped if not draft.broken.intersection(group)]
    draft.grid_is_known = len(draft.errors) == before and whole == draft.zipped
    draft.zipped = whole
    return draft


def _as_text(value: Any, key: str, errors: list[SdvizError]) -> Any:
    """`value` without lone surrogates, which are halves of characters and no text; each that has
    one is an error.
    """
    if isinstance(value, str):
        clean = value.encode("utf-8", "replace").decode()
        if clean != value:
            errors.append(
                ConfigError(
                    f"{key}={value!r}: contains bytes that are not text; use UTF-8", key=key
                )
            )
        return clean
    if isinstance(value, list):
        return [_as_text(item, key, errors) for item in value]
    if isinstance(value, Mapping):
        return {k: _as_text(item, f"{key}.{k}", errors) for k, item in value.items()}
    return value


def _with_counterparts(raw_config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`raw_config` with what a preset says `instead` for the one model of the sweep; what was typed
    stays.

    A preset's prompts are for real models; the miniature has counterparts of them in its own world.
    """
    counterparts = (raw_config.get("instead") or {}).get(str(entry(raw_config, "model")[1])) or {}
    typed = raw_config.get("order") or []
    return {**raw_config, **{key: value for key, value in counterparts.items() if key not in typed}}


def _read_models(draft: Draft, folders: Sequence[Path]) -> dict[str, ModelSpec]:
    """The models by name; what their small files say goes to `infos`."""
    model = draft.raw_config.get("model")
    overrides = {}
    if isinstance(model, Mapping):
        overrides = {key: value for key, value in model.items() if value is not None}
    names: list[str] = []
    with draft.collecting():
        names = list(dict.fromkeys(model_names(entry(draft.raw_config, "model")[1], model)))
    if len(names) > 1 and "id" in overrides:
        draft.errors.append(
            ConfigError("model.id: is for one model; for several, give model=a,b", key="model.id")
        )
    specs: dict[str, ModelSpec] = {}
    for name in names:
        with draft.collecting():
            spec = read_spec(name, overrides, folders)
            specs[spec.name] = spec
            draft.infos[spec.name] = models.inspect(spec)
    return specs


def _order(draft: Draft) -> list[str]:
    """Every setting, those that were typed first and in that order."""
    order = draft.raw_config.get("order") or []
    typed = [str(name) for name in ([order] if isinstance(order, str) else order)]
    draft.errors.extend(
        ConfigError(f"order: {name} is not a setting; {nearest(name, SETTINGS)}", key="order")
        for name in typed
        if name not in SETTINGS
    )
    return [name for name in dict.fromkeys([*typed, *SETTINGS]) if name in SETTINGS]


def _sound_values(draft: Draft, name: str) -> list[Any]:
    """The values of setting `name`; where some are wrong, that is noted, and they are left out."""
    try:
        return _values(draft, name)
    except ConfigError as error:
        draft.broken.add(name)
        draft.errors.extend(error.each())
        return getattr(error, "sound", []) or [None]


def _values(draft: Draft, name: str) -> list[Any]:
    if name == "model":
        return list(draft.config.models) or [None]
    key, source = entry(draft.raw_config, name)
    if key != name and isinstance(source, str) and not source.strip().startswith("["):
        lines = prompt_lines.read(key, unquote(source))
        if key != "prompts" and lines.settings:
            raise ConfigError(
                f"{key}={source}: only the lines of prompts= may have settings", key=key
            )
        return [*lines.prompts]
    values = values_of(name, source)
    if name == "lora":  # the files of a pattern or a folder
        return [file for value in values for file in (loras.expanded(value) if value else [value])]
    return values


def _read_zip(draft: Draft) -> None:
    """zip=[[cfg,steps]]; one group may go without its own brackets."""
    value = draft.raw_config.get("zip") or []
    if not isinstance(value, str | list):
        draft.errors.append(
            ConfigError(f"zip={value}: must be a list such as [[cfg,steps]]", key="zip")
        )
        return
    groups = [value] if all(isinstance(key, str) for key in value) else value
    for group in groups:
        keys = group if isinstance(group, list) else [group]
        unknown = [str(key) for key in keys if key not in SETTINGS]
        draft.errors.extend(
            ConfigError(f"zip: {key} is not a setting; {nearest(key, SETTINGS)}", key="zip")
            for key in unknown
        )
        if keys and not unknown:
            draft.zipped.append(keys)


def _read_rules(draft: Draft) -> None:
    """exclude='sampler=heun steps>20', or a list of such rules."""
    exclude = draft.raw_config.get("exclude") or []
    with draft.collecting():
        if isinstance(exclude, str) and exclude.strip().startswith("["):
            exclude = [unquote(part) for part in split_list(exclude.strip()[1:-1])]
        rules = [unquote(exclude)] if isinstance(exclude, str) else exclude
        draft.rule_texts = [str(rule) for rule in rules]
    for text in draft.rule_texts:
        try:
            draft.rules.append(parse_rule(text, one_value))
        except ConfigError as error:
            draft.errors.append(ConfigError(f"exclude: {error}", key="exclude"))
