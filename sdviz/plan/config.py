"""The configuration as typed, frozen dataclasses; no DictConfig goes further inward than here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from sdviz.errors import ConfigError, SdvizError, nearest

T = TypeVar("T")

_INTERNAL = {"internal": True}  # worked out, and no key of the user's


def _choice(default: str, *others: str) -> Any:
    return field(default=default, metadata={"choices": (default, *others)})


def _number(default: int, least: int, most: int, *, auto: int | None = None) -> Any:
    """An int from least to most; `auto` is the value of the word "auto"."""
    return field(default=default, metadata={"least": least, "most": most, "auto": auto})


def keys_of(cls: type[Any]) -> list[str]:
    """The keys that a user may give."""
    return [f.name for f in fields(cls) if not f.metadata.get("internal")]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Where a model is and how to read it; one file of conf/model/ each, or made from a path or a
    hub id.
    """

    name: str = "miniature"
    # folder in diffusers' layout, single-file checkpoint, or hub id; "" for the shipped miniature
    id: str = ""
    revision: str = ""  # of a hub id: branch, tag or commit
    variant: str = ""  # of a hub id or folder: "fp16" where such files exist
    kind: str = _choice("auto", "sd1", "sd2", "sdxl", "kolors", "other")  # auto: read off the files
    prediction: str = _choice(  # auto: the model's own scheduler configuration
        "auto", "epsilon", "v_prediction", "sample"
    )
    trust_pickle: bool = False  # a .ckpt is a pickle, and a pickle can run any code
    local_files_only: bool = True  # false: download what the hub's cache lacks
    safety_checker: str = ""  # folder or hub id, for `safety`; "": the model's own, or CompVis's
    # of a single-file checkpoint: a model in diffusers' layout whose configurations and
    # vocabularies it takes; "": as published, and as the shapes of its weights say
    config: str = ""
    # folder or hub id of a model in diffusers' layout, for the parts that a single-file checkpoint
    # has not: text encoders, VAE, tokenizers
    base: str = ""
    defaults: Mapping[str, Any] = field(  # settings that this model wants when the user gives none
        default_factory=dict, hash=False
    )


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How cells are computed; none of it changes what is computed, `batch` within rounding."""

    # rows in one denoiser evaluation; 0 (auto): measured, as memory allows
    batch: int = _number(0, 1, 4096, auto=0)
    attention_slicing: bool = False  # attention in slices: less memory, slower
    vae_tiling: bool = False  # pictures above the VAE's own size in tiles: less memory, seams
    channels_last: bool = False  # another layout of the weights, which some GPUs are faster with
    compile: bool = False  # torch.compile: minutes at first, then faster; needs a C++ compiler


@dataclass(frozen=True, kw_only=True)
class PreviewConfig:
    """Which frames are made, and by which decoder."""

    decoder: str = _choice("auto", "vae", "tiny", "rgb", "none")  # auto: the best that is cheap
    every: int = _number(
        1, 1, 10_000
    )  # a frame after every n-th step; the last step always has one
    # x0: the predicted clean latent; prompt, negative: what either predicts without the other,
    # before CFG weighs them; xt: the noisy latent itself
    of: str = _choice("x0", "xt", "prompt", "negative")


@dataclass(frozen=True, kw_only=True)
class VisdomConfig:
    """The Visdom page."""

    enabled: bool = True
    port: int = _number(6006, 1, 65535)
    listen: bool = False  # bind to every address instead of loopback; asks for a login
    # further Host names under which the page is reached (a proxy's); *.x for all names below x
    hosts: tuple[str, ...] = field(
        default=(),
        metadata={
            "pattern": r"(?:https?://)?(?:\*\.)?(?:[\w-]+(?:\.[\w-]+)*|\[[\da-fA-F:]+\])(?::\d+)?/?",
            "remedy": "must be names such as gpu.example.com, or *.example.com for all below it",
        },
    )
    base_url: str = field(  # path below which a proxy serves the page, such as /proxy/6006
        default="",
        metadata={
            "pattern": r"/?(?:[\w.~@%+-]+/)*[\w.~@%+-]*",
            "remedy": "must be a path such as /proxy/6006; names go into visdom.hosts",
        },
    )
    max_windows: int = _number(60, 0, 1000)  # windows of single cells; the sheet shows all cells
    username: str = "sdviz"  # required, with the password, if `listen` is true
    password: str = ""  # "": drawn when the server starts, and printed


@dataclass(frozen=True, kw_only=True)
class InitImage:
    """An image that `init=` names: where it is, and the hash of its pixels when it was planned."""

    path: str
    pixels: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a sweep needs besides its plan."""

    name: str = ""  # of the archive; "": made from the axes and a hash of the command
    outputs: str = "outputs"  # the folder of all archives
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    dtype: str = _choice("auto", "float32", "bfloat16", "float16")  # of the denoiser
    reuse: bool = True  # take finished cells from archives instead of computing them again
    dry_run: bool = False  # say what would be computed, and stop
    samples: int = _number(1, 1, 10_000)  # pictures a seed, of seeds that follow each other
    rounds: int = _number(1, 1, 10_000)  # how often that many
    fixed_noise: bool = False  # every cell starts from the first seed's noise
    # steps of the converged images that cells are measured by (sdviz.plan.reference); 0: none
    reference: int = _number(0, 0, 1000, auto=100)
    score: tuple[str, ...] = ()  # clip, aesthetic: of every finished picture
    score_clip: str = ""  # folder or hub id of a CLIP; "": the model's own clip/, or OpenAI's
    score_aesthetic: str = ""  # file of the aesthetic predictor's linear head
    caption: str = ""  # folder or hub id of a BLIP, which puts pictures into words; blip: its base
    models: dict[str, ModelSpec] = field(
        default_factory=dict,
        metadata=_INTERNAL,  # by the name that recipes use
    )
    inits: dict[str, InitImage] = field(
        default_factory=dict,
        metadata=_INTERNAL,  # by the name that recipes use
    )
    engine: EngineConfig = field(default_factory=EngineConfig)
    preview: PreviewConfig = field(default_factory=PreviewConfig)
    visdom: VisdomConfig = field(default_factory=VisdomConfig)


def read(
    cls: type[T], source: Mapping[str, Any], errors: list[SdvizError], *, under: str = ""
) -> T:
    """`cls` made from plain values, every one of them checked; `under` is the path of keys above,
    for messages.

    Every fault is appended to `errors`, and the field keeps its default, so that one run reports
    them all.
    """
    assert is_dataclass(cls)
    known = {f.name: f for f in fields(cls) if f.name in keys_of(cls)}
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in source.items():
        path = f"{under}{key}"
        if key not in known:
            errors.append(ConfigError(f"{path}: unknown key; {nearest(str(key), known)}", key=path))
            continue
        try:
            if is_dataclass(hints[key]):
                if not isinstance(value, Mapping):
                    raise ConfigError(f"{path}={value!r}: must be a group of keys", key=path)
                kind: Any = hints[key]
                values[key] = read(kind, value, errors, under=f"{path}.")
            else:
                values[key] = _value(known[key], hints[key], value, path)
        except ConfigError as error:
            errors.append(error)
    made: T = cls(**values)
    return made


def _value(f: Field[Any], hint: Any, value: Any, path: str) -> Any:
    """One value as the field wants it, or a ConfigError that names key, value and remedy."""
    if value is None:
        return f.default_factory() if f.default_factory is not MISSING else f.default
    if hint is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{path}={value!r}: must be true or false", key=path)
        return value
    if hint is int:
        return _int(f.metadata, value, path)
    if hint is str:
        return _str(f.metadata, value, path)
    if hint == tuple[str, ...]:
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(",") if part.strip()]
            return tuple(patterned(f.metadata, part, value, path) for part in parts)
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{path}={value!r}: must be a list, such as [a,b]", key=path)
        return tuple(patterned(f.metadata, str(part), value, path) for part in value)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}={value!r}: must be a group of keys", key=path)
    return dict(value)


def _int(metadata: Mapping[str, Any], value: Any, path: str) -> int:
    auto, least, most = metadata["auto"], metadata["least"], metadata["most"]
    if auto is not None and value in ("auto", auto):
        return int(auto)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    otherwise = "" if auto is None else ", or auto"
    raise ConfigError(
        f"{path}={value!r}: must be a whole number from {least} to {most}{otherwise}", key=path
    )


def _str(metadata: Mapping[str, Any], value: Any, path: str) -> str:
    if isinstance(value, list | dict):
        raise ConfigError(f"{path}={value!r}: must be one word", key=path)
    # YAML reads `off` and `1e3` as a bool and a number; a name may look like that
    text = value if isinstance(value, str) else str(value).lower()
    choices = metadata.get("choices")
    if choices and text not in choices:
        raise ConfigError(f"{path}={value!r}: must be one of {', '.join(choices)}", key=path)
    return patterned(metadata, text, value, path)


def patterned(metadata: Mapping[str, Any], text: str, value: Any, path: str) -> str:
    """`text`, a part of `value`, if it is of the field's pattern; ConfigError otherwise."""
    if "pattern" in metadata and not re.fullmatch(metadata["pattern"], text):
        raise ConfigError(f"{path}={value!r}: {metadata['remedy']}", key=path)
    return text


PACKAGE = Path(__file__).resolve().parents[1]


def conf_dir() -> Path:
    """The folder of the YAML configuration."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"
