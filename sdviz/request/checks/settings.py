"""Settings that need, or rule out, one another: refused before a model is loaded. No torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdviz.errors import ConfigError, SdvizError
from sdviz.models.files import diffusers_source
from sdviz.models.files.refusal import read_object, refusing
from sdviz.plan.prompts import spoken
from sdviz.plan.rules import Rule, matches
from sdviz.plan.settings import DEFAULTS, SETTINGS

if TYPE_CHECKING:
    from sdviz.models import ModelInfo
    from sdviz.plan.config import ModelSpec

if TYPE_CHECKING:
    from sdviz.models import ModelInfo

Values = Mapping[str, Sequence[Any]]  # setting -> its values, None where nothing was given

_WITHOUT_CLIP = ("kolors",)


def by_model(
    values: Values, zipped: Sequence[Sequence[str]], rules: Sequence[Rule]
) -> dict[str, Values]:
    """The values that each setting has beside each model: what is zipped with it, and what no rule
    drops that asks of the two alone; [None] where nothing is left.
    """

    def beside(at: int, model: Any, name: str) -> list[Any]:
        several = list(values[name])
        together = any({"model", name} <= set(group) for group in zipped)
        if together and len(several) == len(values["model"]):
            several = [several[at]]
        asked = [rule for rule in rules if {term.key for term in rule} <= {"model", name}]
        kept = [one for one in several if not matches(asked, {"model": model, name: one})]
        return kept or [None]

    return {
        str(model): {name: beside(at, model, name) for name in values}
        for at, model in enumerate(values["model"])
    }


def check(
    values: Values,
    own: Mapping[str, Values],
    infos: Mapping[str, ModelInfo],
    defaults: Mapping[str, Mapping[str, Any]],
) -> Iterator[ConfigError]:
    """Everything that is wrong with the settings as they stand together; `own` are the values that
    each model has (`by_model`), `defaults` are by model, as for sdviz.plan.planning.make_plan.
    """
    for name, row in SETTINGS.items():
        needed = row.needs.partition("=")[0]
        if needed and _given(values, name) and not _is_used(values, needed):
            shown = ",".join(map(str, values[name]))
            yield ConfigError(
                f"{name}={shown}: has no effect without {needed}; add {row.needs}", key=name
            )
    yield from _search(values, defaults.values())
    for model, info in infos.items():
        yield from _model(own[model], model, info)


def _given(values: Values, name: str) -> bool:
    return any(value is not None for value in values[name])


def _is_used(values: Values, name: str) -> bool:
    """Has any cell another value than the one that switches the setting off?"""
    return any(value not in (None, DEFAULTS[name]) for value in values[name])


def _search(values: Values, defaults: Iterable[Mapping[str, Any]]) -> Iterator[ConfigError]:
    """The first value of `sr` must occur in every prompt, or in a negative prompt beside it."""
    search = search_text(values)
    if not search:
        return

    def texts(name: str) -> dict[str, None]:
        own = [given.get(name, DEFAULTS[name]) for given in defaults]
        several = (own if value is None else [value] for value in values[name])
        return dict.fromkeys(itertools.chain(*several))

    if any(search in negative for negative in texts("negative")):
        return
    for prompt in texts("prompt"):
        if search not in prompt:
            yield ConfigError(
                f"sr={search},...: the first value is the text to replace, and "
                f"{prompt[:60]!r} does not have it",
                key="sr",
            )


def search_text(values: Values) -> str:
    """What `sr` searches for, its first value; "" where it is not given."""
    return values["sr"][0] or ""


def _model(values: Values, model: str, info: ModelInfo) -> Iterator[ConfigError]:
    if info.is_flow and _is_used(values, "schedule"):
        yield ConfigError(
            f"schedule: {model} was trained by flow matching and has its own; remove schedule=",
            key="schedule",
        )
    if not info.is_batched:
        used = [(name, row) for name, row in SETTINGS.items() if _is_used(values, name)]
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


def check_reference(steps: int, infos: Mapping[str, ModelInfo]) -> None:
    """Raises ConfigError where `reference=` is asked of a model whose samplers are not ours to
    choose.
    """
    for name, info in infos.items():
        if steps and not info.is_batched:
            raise ConfigError(
                f"reference: the pipeline of {name} does not support it", key="reference"
            )


def settings(
    values: Mapping[str, Sequence[Any]],
    own: Mapping[str, Mapping[str, Sequence[Any]]],
    specs: Mapping[str, ModelSpec],
    infos: Mapping[str, ModelInfo],
) -> Iterator[SdvizError]:
    """What no value can tell alone: sizes that do not suit a model, samplers that need more than
    there is. `own` are the values that each model has.
    """
    for name, info in infos.items():
        for side in ("width", "height"):
            given = [specs[name].defaults.get(side) if v is None else v for v in own[name][side]]
            for size in dict.fromkeys(given):
                if size is not None and size % info.multiple:
                    below = max(size // info.multiple, 1) * info.multiple
                    yield ConfigError(
                        f"{side}={size}: model {name} needs a multiple of {info.multiple}, "
                        f"such as {below} or {below + info.multiple}",
                        key=side,
                    )
    yield from _samplers(values, specs)
    yield from _extras(own, specs, infos)
    yield from _embeddings(own, specs, infos)


def _samplers(
    values: Mapping[str, Sequence[Any]], specs: Mapping[str, ModelSpec]
) -> Iterator[SdvizError]:
    """Samplers without the package that they need."""
    from sdviz.plan.samplers import resolve

    own = [spec.defaults.get("sampler", DEFAULTS["sampler"]) for spec in specs.values()]
    names = [own if name is None else [name] for name in values["sampler"]]
    for name in dict.fromkeys(itertools.chain(*names)):
        sampler = resolve(name)
        if sampler.missing_package:
            yield ConfigError(
                f"sampler={name}: needs the package {sampler.missing_package}; "
                f"python -m pip install {sampler.missing_package}",
                key="sampler",
            )


def _extras(
    values: Mapping[str, Mapping[str, Sequence[Any]]],
    specs: Mapping[str, ModelSpec],
    infos: Mapping[str, ModelInfo],
) -> Iterator[SdvizError]:
    """LoRAs and VAEs that are not there, are broken, or do not fit a model; and flow matching's
    samplers.
    """
    from sdviz.models.addons import checks

    for model, info in infos.items():
        for key, check in checks.CHECKS.items():
            own = specs[model].defaults.get(key)
            for name in dict.fromkeys(own if name is None else name for name in values[model][key]):
                try:
                    if name is not None:
                        with refusing(f"{key}={name}", key):
                            check(name, specs[model], info)
                except SdvizError as error:
                    yield error


def _embeddings(
    values: Mapping[str, Mapping[str, Sequence[Any]]],
    specs: Mapping[str, ModelSpec],
    infos: Mapping[str, ModelInfo],
) -> Iterator[SdvizError]:
    """Embeddings that are not there or, where a text says their words, do not fit a model."""
    from sdviz.models.addons import embeddings

    for model, info in infos.items():
        own = {**DEFAULTS, **specs[model].defaults}
        texts = {
            own[key] if text is None else text
            for key in ("prompt", "negative", "sr")
            for text in values[model][key]
        }
        named = {own["embedding"] if name is None else name for name in values[model]["embedding"]}
        for name in sorted(named - {""}):
            try:
                with refusing(f"embedding={name}", "embedding"):
                    words = [*spoken(embeddings.files(name), texts)]
                    embeddings.check(name, words, specs[model], info)
            except SdvizError as error:
                yield error
        if named - {""} and "none" in values[model]["emphasis"]:
            yield ConfigError(
                "embedding: needs emphasis=a1111; remove emphasis=none", key="embedding"
            )
