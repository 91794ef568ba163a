"""What can be found wrong before a model is loaded: sizes, samplers, files, folders, the disk, long
prompts.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.errors import ConfigError, SdvizError
from sdviz.plan import DEFAULTS, spoken

if TYPE_CHECKING:
    from sdviz.config import Config, ModelSpec
    from sdviz.models import ModelInfo
    from sdviz.plan import Plan, Recipe

_SPARE = 64 << 20  # bytes that must be free to begin at all
_MOST_WARNINGS = 5
WITH_CLIP = ("sd1", "sd2", "sdxl")  # the kinds that have CLIP


def outputs(folder: Path) -> None:
    """Can archives be written into `folder`, and is there room? Nothing is made. Raises
    ConfigError.
    """
    there = folder.expanduser().absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ConfigError(f"outputs={folder}: {there} is a file, not a folder; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"outputs={folder}: {there} cannot be written; name a folder that can")
    total, _, free = shutil.disk_usage(there)
    if not total:
        raise ConfigError(f"outputs={folder}: {there} holds no files; name a folder on a disk")
    if free < _SPARE:
        raise ConfigError(
            f"outputs={folder}: the disk is nearly full ({free >> 20} MB free); "
            "name a folder on another disk, or make room"
        )


def read_lines(key: str, name: str) -> list[Any]:
    """The lines of a file that are not blank, UTF-8 with or without a byte order mark. Raises
    ConfigError.
    """
    file = Path(name).expanduser()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{key}={name}: not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"{key}={name}: cannot be read ({error.strerror})") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ConfigError(f"{key}={name}: has no lines; write one prompt a line")
    return texts


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
                        f"such as {below} or {below + info.multiple}"
                    )
    yield from _samplers(values, specs)
    yield from _extras(own, specs, infos)
    yield from _embeddings(own, specs, infos)


def _samplers(
    values: Mapping[str, Sequence[Any]], specs: Mapping[str, ModelSpec]
) -> Iterator[SdvizError]:
    """Samplers without the package that they need."""
    from sdviz.samplers import resolve

    own = [spec.defaults.get("sampler", DEFAULTS["sampler"]) for spec in specs.values()]
    names = [own if name is None else [name] for name in values["sampler"]]
    for name in dict.fromkeys(itertools.chain(*names)):
        sampler = resolve(name)
        if sampler.missing_package:
            yield ConfigError(
                f"sampler={name}: needs the package {sampler.missing_package}; "
                f"python -m pip install {sampler.missing_package}"
            )


def _extras(
    values: Mapping[str, Mapping[str, Sequence[Any]]],
    specs: Mapping[str, ModelSpec],
    infos: Mapping[str, ModelInfo],
) -> Iterator[SdvizError]:
    """LoRAs and VAEs that are not there, are broken, or do not fit a model; and flow matching's
    samplers.
    """
    from sdviz.models import extras

    for model, info in infos.items():
        for key, check in extras.CHECKS.items():
            own = specs[model].defaults.get(key)
            for name in dict.fromkeys(own if name is None else name for name in values[model][key]):
                try:
                    if name is not None:
                        check(name, specs[model], info)
                except SdvizError as error:
                    yield error


def _embeddings(
    values: Mapping[str, Mapping[str, Sequence[Any]]],
    specs: Mapping[str, ModelSpec],
    infos: Mapping[str, ModelInfo],
) -> Iterator[SdvizError]:
    """Embeddings that are not there or, where a text says their words, do not fit a model."""
    from sdviz.models import embeddings

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
                words = [*spoken(embeddings.files(name), texts)]
                embeddings.check(name, words, specs[model], info)
            except SdvizError as error:
                yield error
        if named - {""} and "none" in values[model]["emphasis"]:
            yield ConfigError("embedding: needs emphasis=a1111; leave emphasis=none out")


def compiler(config: Config) -> None:
    """torch.compile makes C++ of a model that is computed on the CPU. Raises ConfigError."""
    names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    if config.engine.compile and config.device == "cpu" and not any(map(_compiles, names)):
        raise ConfigError(
            "engine.compile=true: needs a C++ compiler on the CPU, and there is none; "
            "apt-get install g++, or leave it out"
        )


def _compiles(name: str) -> bool:
    """Is there such a compiler, and does it start?"""
    found = shutil.which(name)
    if not found or name == "cl":  # Microsoft's has no --version
        return bool(found)
    try:
        return subprocess.run([found, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def weights(config: Config, infos: Mapping[str, ModelInfo]) -> Iterator[SdvizError]:
    """Models whose weights alone are more than the device has room for."""
    from sdviz.models import room

    if config.dtype == "auto":  # what cannot be settled is told elsewhere
        return
    for name, info in infos.items():
        try:
            room.check_weights(config.models[name], info, device=config.device, dtype=config.dtype)
        except SdvizError as error:
            yield error


def pictures(
    recipes: Sequence[Recipe], config: Config, infos: Mapping[str, ModelInfo]
) -> Iterator[SdvizError]:
    """Sizes that the device has no room for: of each model's pictures the largest."""
    from sdviz.models import room
    from sdviz.passes import passes

    if config.engine.vae_tiling or config.dtype == "auto":  # what cannot be settled is told
        return
    ends = [(recipe.model, passes(recipe)[-1]) for recipe in recipes]
    for name, info in infos.items():
        own = [end for model, end in ends if model == name]
        if not own:
            continue
        largest = max(own, key=lambda end: end.width * end.height)
        try:
            room.check_picture(
                config.models[name], info, largest.width, largest.height,
                device=config.device, dtype=config.dtype,
            )  # fmt: skip
        except SdvizError as error:
            yield error


def prompts(plan: Plan, infos: Mapping[str, ModelInfo]) -> list[str]:
    """A warning for each prompt of which the text encoder does not see the end, with that end."""
    texts: dict[tuple[str, str, str], None] = {}
    for cell in plan.cells:
        if cell.recipe.emphasis == "a1111" and infos[cell.recipe.model].kind in WITH_CLIP:
            continue  # long prompts go on in further chunks
        texts[(cell.recipe.model, "prompt", cell.recipe.prompt)] = None
        texts[(cell.recipe.model, "negative", cell.recipe.negative)] = None
    warnings = []
    for model, key, text in texts:
        for cut in infos[model].check_prompt(text):
            warnings.append(
                f"{key}={_short(text)}: the text encoder of {model} takes "
                f"{infos[model].max_tokens} tokens; it does not see: {cut!r}"
            )
    if len(warnings) > _MOST_WARNINGS:
        more = len(warnings) - _MOST_WARNINGS
        return [
            *warnings[:_MOST_WARNINGS],
            f"{more} more prompts are too long for the text encoder",
        ]
    return warnings


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
