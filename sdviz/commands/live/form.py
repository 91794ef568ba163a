"""From the fields of the control pane to a sweep: the same reading and checking as the command
line's.
"""

from __future__ import annotations

import base64
import json
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sdviz.errors import ArchiveError, ConfigError, ConfigErrors, SdvizError, nearest
from sdviz.plan.config import conf_dir
from sdviz.plan.labels import telling, value_label
from sdviz.plan.settings import DEFAULTS, SETTINGS, names
from sdviz.plan.values import entries, entry, setting_of, typed
from sdviz.request.compose import plan
from sdviz.request.from_picture import recipe_of_picture
from sdviz.web.setting_rows import form_fields

if TYPE_CHECKING:
    from sdviz.request.request import Request

# What the form shows; all other settings stand in one field, as on the command line.
FIELDS = tuple(field["name"] for field in form_fields())
FURTHER = "further"
_ALSO = ("zip", "exclude", "samples", "rounds", "fixed_noise", "reference")  # taken there as well


def prepare(raw_config: Mapping[str, Any], settings: Mapping[str, str]) -> Request:
    """The sweep of a filled form.

    `raw_config` is the composed configuration, `settings` the text of each field. An empty field
    takes the model's default. Raises ConfigErrors, which `field_errors` assigns to fields.
    """
    filled = {**raw_config, **_further(settings.get(FURTHER), raw_config)}
    filled["order"] = [*FIELDS, *[name for name in filled["order"] if name not in FIELDS]]
    for name in FIELDS:
        value = _value(name, settings.get(name, "").strip())
        if value is not None or name != "model":
            filled |= entries(name, value)
    return plan(filled)  # the page is there already


def _further(text: str | None, raw_config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that have no field, and their order; None: those of the command line hold.

    Raises ConfigErrors.
    """
    if text is None:
        return {"order": list(raw_config.get("order") or [])}
    values: dict[str, Any] = dict.fromkeys(name for name in SETTINGS if name not in FIELDS)
    typed: list[str] = []
    errors: list[SdvizError] = []
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigErrors([ConfigError(f"{FURTHER}: {error}: {text}", key=FURTHER)]) from None
    for word in words:
        name, equals, value = word.partition("=")
        if setting_of(name) in FIELDS:
            errors.append(ConfigError(f"{FURTHER}: {name} has a field of its own", key=FURTHER))
        elif not equals or name not in (*values, *_ALSO):
            known = nearest(name, (*values, *_ALSO)) if equals else "such as clip_skip=2"
            errors.append(
                ConfigError(f"{FURTHER}: `{word}` is not setting=value; {known}", key=FURTHER)
            )
        else:
            try:
                values[name] = yaml.safe_load(value) if name in _ALSO else value
            except yaml.YAMLError:
                errors.append(ConfigError(f"{FURTHER}: `{word}` cannot be read", key=FURTHER))
            typed.append(name)
    if errors:
        raise ConfigErrors(errors)
    return {**values, "order": [name for name in typed if name in SETTINGS]}


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if SETTINGS[name].kind == "text":  # one a line; a comma is part of a prompt
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text


def field_errors(error: SdvizError) -> dict[str, str]:
    """{field: its error message}. The key "" collects errors that belong to no field."""
    messages: dict[str, list[str]] = {}
    for one in error.each():
        text = str(one)
        key = one.key.partition(".")[0]
        key = setting_of(key) or key
        place = key if key in FIELDS else FURTHER if key in (FURTHER, *SETTINGS) else ""
        messages.setdefault(place, []).append(text.removeprefix(f"{FURTHER}: "))
    return {key: " ".join(texts) for key, texts in messages.items()}


def as_typed(raw_config: Mapping[str, Any]) -> dict[str, str]:
    """The form's first content: the settings that the command line gave."""
    fields = {}
    for name in FIELDS:
        _, value = entry(raw_config, name)
        parts = value if isinstance(value, list) else [value]
        sign = "\n" if SETTINGS[name].kind == "text" else ","
        fields[name] = sign.join(str(part) for part in parts if part is not None)
    others = {
        name: raw_config[name] for name in SETTINGS if name not in FIELDS and name in raw_config
    }
    texts = {name: _text_of(name, value) for name, value in others.items() if value is not None}
    return fields | {FURTHER: _words(texts)}


def _text_of(name: str, value: Any) -> str:
    """A text is typed already; a preset has numbers, and lists of both."""
    parts = value if isinstance(value, list | tuple) else [value]
    return ",".join(part if isinstance(part, str) else typed(name, part) for part in parts)


def form_of(kind: str, source: str) -> dict[str, str]:
    """The form for what a page gives: a "recipe" as JSON, or a "picture" (a file) in base64.

    Raises ConfigError for what is no recipe, ArchiveError for a picture without one.
    """
    if kind != "recipe":
        return form_of_picture(source)[0]
    try:
        recipe = json.loads(source)
    except (ValueError, RecursionError):
        recipe = None
    if not isinstance(recipe, dict):
        raise ConfigError("recipe: must be a JSON object of settings")
    return as_form(recipe)


def form_of_picture(encoded: str) -> tuple[dict[str, str], list[str]]:
    """The form for a picture in base64, and what of the picture is not done again.

    Raises ArchiveError for a picture without a recipe.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        try:
            path.write_bytes(base64.b64decode(encoded, validate=True))
        except ValueError:
            raise ArchiveError("the picture is incomplete; drop it again") from None
        try:
            recipe = recipe_of_picture(path)
            return as_form(recipe.settings), recipe.warnings
        except ArchiveError as error:
            message = str(error).removeprefix(f"from={path}: ")
            raise ArchiveError(message.replace(str(path), "the picture")) from None


def as_form(recipe: Mapping[str, Any]) -> dict[str, str]:
    """The form that makes a picture of this recipe. Settings that it lacks stay empty."""
    known = names(lambda row: not row.absorbed)
    settings = {name: value for name, value in telling(recipe).items() if name in known}
    if not settings.get("init"):  # stable-diffusion-webui writes only the strength
        settings.pop("strength", None)
    for name, value in settings.items():
        if SETTINGS[name].kind == "text":  # a line of the form is a prompt of its own
            settings[name] = " ".join(str(value).split("\n"))
    fields = {name: _field(name, settings.pop(name, None)) for name in FIELDS}
    return fields | {
        FURTHER: _words({name: typed(name, value) for name, value in settings.items()})
    }


def _field(name: str, value: Any) -> str:
    """A recipe's value as its field has it; a line of the form is a prompt as it stands."""
    if value is None:
        return ""
    return str(value) if SETTINGS[name].kind == "text" else typed(name, value)


def _words(settings: Mapping[str, str]) -> str:
    """Settings as a command line has them."""
    return " ".join(shlex.quote(f"{name}={text}") for name, text in settings.items() if text)


def choices() -> dict[str, list[str]]:
    """What the form suggests: every sampler, and the models of conf/model/."""
    from sdviz.plan import samplers

    models = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
    return {"sampler": samplers.names(), "model": models}


def defaults() -> dict[str, str]:
    """The value of an empty field, unless it depends on the model."""
    return {
        name: value_label(DEFAULTS[name])
        for name in names(lambda row: row.form and row.default and not row.key)
    }
