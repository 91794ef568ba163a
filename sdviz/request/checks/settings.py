"""Settings that need, or rule out, one another: refused before a model is loaded. No torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdviz.errors import ConfigError, SdvizError
from sdviz.models.files import diffusers_source
from sdviz.models.files.refusal import read_object, refusing
from sdviz.plan.prompts import words_used
from sdviz.plan.settings import DEFAULTS, SETTINGS
from sdviz.request.checks.asked import Asked, Values

if TYPE_CHECKING:
    from sdviz.models import ModelInfo

_WITHOUT_CLIP = ("kolors",)


def needs(asked: Asked) -> Iterator[SdvizError]:
    """Settings that have no effect without another one."""
    values = asked.values
    for name, row in SETTINGS.items():
        needed = row.needs.partition("=")[0]
        if needed and _has_value(values, name) and not _is_used(values, needed):
            shown = ",".join(map(str, values[name]))
            yield ConfigError(
                f"{name}={shown}: has no effect without {needed}; add {row.needs}", key=name
            )


def _has_value(values: Values, name: str) -> bool:
    return any(value is not None for value in values[name])


def _is_used(values: Values, name: str) -> bool:
    """Has any cell another value than the one that switches the setting off?"""
    return any(value not in (None, DEFAULTS[name]) for value in values[name])


def search(asked: Asked) -> Iterator[SdvizError]:
    """The first value of `sr` must occur in every prompt, or in a negative prompt."""
    values = asked.values
    wanted = search_text(values)
    if not wanted:
        return

    def texts(name: str) -> dict[str, None]:
        of_models = [settings.get(name, DEFAULTS[name]) for settings in asked.defaults.values()]
        several = (of_models if value is None else [value] for value in values[name])
        return dict.fromkeys(itertools.chain(*several))

    if any(wanted in negative for negative in texts("negative")):
        return
    for prompt in texts("prompt"):
        if wanted not in prompt:
            yield ConfigError(
                f"sr={wanted},...: the first value is the text to replace, but {prompt[:60]!r} "
                "does not contain it",
                key="sr",
            )


def search_text(values: Values) -> str:
    """The text that `sr` searches for, its first value; "" if `sr` is not set."""
    return values["sr"][0] or ""


def supported(asked: Asked) -> Iterator[SdvizError]:
    """Settings that a model, or its pipeline, does not have."""
    for model, info in asked.infos.items():
        yield from _supported(asked.by_model[model], model, info)


def _supported(values: Values, model: str, info: ModelInfo) -> Iterator[SdvizError]:
    used = [(name, row) for name, row in SETTINGS.items() if _is_used(values, name)]
    for name, row in used:
        if row.flow is not None and row.flow != info.is_flow:
            trained = "was trained by flow matching and has its own"
            why = trained if info.is_flow else "was not trained by flow matching"
            yield ConfigError(f"{name}: {model} {why}; remove {name}=", key=name)
    if not info.is_batched:
        for name, row in used:
            if row.batched_only:
                yield ConfigError(f"{name}: the pipeline of {model} does not support it", key=name)
        for name, row in used:
            if row.argument and not diffusers_source.takes(info.pipeline, row.argument):
                yield ConfigError(
                    f"{name}: {info.pipeline}, which runs {model}, does not support it", key=name
                )
        return
    most = _layers(info)
    deepest = max(value or 1 for value in values["clip_skip"])
    if deepest > most:
        yield ConfigError(
            f"clip_skip={deepest}: the text encoder of {model} allows at most {most}",
            key="clip_skip",
        )


def _layers(info: ModelInfo) -> int:
    """How deep `clip_skip` may go."""
    if info.kind in _WITHOUT_CLIP:
        return 1
    try:
        config = read_object(info.folder / "text_encoder" / "config.json")
        return int(config["num_hidden_layers"])
    except (OSError, ValueError, KeyError, TypeError):
        return 12  # CLIP's


def reference(asked: Asked) -> Iterator[SdvizError]:
    """`reference=` of a model whose samplers are not ours to choose."""
    for name, info in asked.infos.items():
        if asked.config.reference and not info.is_batched:
            yield ConfigError(
                f"reference: the pipeline of {name} does not support it", key="reference"
            )


def sizes(asked: Asked) -> Iterator[SdvizError]:
    """Sizes that do not suit a model."""
    specs, by_model = asked.specs, asked.by_model
    for name, info in asked.infos.items():
        for side in ("width", "height"):
            lengths = [
                specs[name].defaults.get(side) if v is None else v for v in by_model[name][side]
            ]
            for size in dict.fromkeys(lengths):
                if size is not None and size % info.multiple:
                    below = max(size // info.multiple, 1) * info.multiple
                    yield ConfigError(
                        f"{side}={size}: model {name} needs a multiple of {info.multiple}, "
                        f"such as {below} or {below + info.multiple}",
                        key=side,
                    )


def samplers(asked: Asked) -> Iterator[SdvizError]:
    """Samplers without the package that they need."""
    from sdviz.plan.samplers import resolve

    of_models = [spec.defaults.get("sampler", DEFAULTS["sampler"]) for spec in asked.specs.values()]
    names = [of_models if name is None else [name] for name in asked.values["sampler"]]
    for name in dict.fromkeys(itertools.chain(*names)):
        sampler = resolve(name)
        if sampler.missing_package:
            yield ConfigError(
                f"sampler={name}: needs the package {sampler.missing_package}; "
                f"python -m pip install {sampler.missing_package}",
                key="sampler",
            )


def files(asked: Asked) -> Iterator[SdvizError]:
    """LoRAs and VAEs that are not there, are broken, or do not fit a model; and flow matching's
    samplers.
    """
    from sdviz.models.addons import checks

    specs, values = asked.specs, asked.by_model
    for model, info in asked.infos.items():
        for key, check in checks.CHECKS.items():
            default = specs[model].defaults.get(key)
            for name in dict.fromkeys(
                default if name is None else name for name in values[model][key]
            ):
                try:
                    if name is not None:
                        with refusing(f"{key}={name}", key):
                            check(name, specs[model], info)
                except SdvizError as error:
                    yield error


def embeddings(asked: Asked) -> Iterator[SdvizError]:
    """Embeddings that are not there or, where a text says their words, do not fit a model."""
    from sdviz.models.addons import embeddings as addon

    specs, values = asked.specs, asked.by_model
    for model, info in asked.infos.items():
        defaults = {**DEFAULTS, **specs[model].defaults}
        texts = {
            defaults[key] if text is None else text
            for key in ("prompt", "negative", "sr")
            for text in values[model][key]
        }
        named = {
            defaults["embedding"] if name is None else name for name in values[model]["embedding"]
        }
        for name in sorted(named - {""}):
            try:
                with refusing(f"embedding={name}", "embedding"):
                    words = [*words_used(addon.files(name), texts)]
                    addon.check(name, words, specs[model], info)
            except SdvizError as error:
                yield error
        if named - {""} and "none" in values[model]["emphasis"]:
            yield ConfigError(
                "embedding: needs emphasis=a1111; remove emphasis=none", key="embedding"
            )
