"""Scores and captions of finished pictures: what is asked for, and where its models are. No torch.

score=clip             how well the picture fits its prompt, 0..100
score=clip,aesthetic   and how it pleases, about 1..10; score_aesthetic= names the linear head
caption=blip           the picture in words
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.errors import ConfigError, ModelError, SdvizError, nearest
from sdviz.models.files import identity, places, tensors
from sdviz.plan.config import Config, ModelSpec

if TYPE_CHECKING:
    pass

NAMES = ("clip", "aesthetic")
CLIP = "openai/clip-vit-large-patch14"  # that of Stable Diffusion 1, and of the aesthetic head
BLIP = "Salesforce/blip-image-captioning-base"
_KNOWN = {"clip": CLIP, "blip": BLIP}


def is_asked(config: Config) -> bool:
    return bool(config.score or config.caption)


def check(config: Config) -> Iterator[SdvizError]:
    """What is wrong with `score=` and `caption=`, before anything is loaded."""
    for name in config.score:
        if name not in NAMES:
            yield ConfigError(f"score={name}: {nearest(name, NAMES)}", key="score")
    try:
        if "aesthetic" in config.score:
            head_file(config)
        for spec in config.models.values() if config.score else ():
            about = _config(clip_folder(config, spec), "score_clip", "clip")
            if "aesthetic" in config.score:
                _check_head(head_file(config), int(about.get("projection_dim", 512)))
    except SdvizError as error:
        yield error
    try:
        if config.caption:
            _config(caption_folder(config), "caption", "blip")
    except SdvizError as error:
        yield error


def _config(folder: Path, key: str, kind: str) -> dict[str, Any]:
    """The config.json of a model of that kind, whose weights are there; ConfigError."""
    remedy = f"{key}= names a folder or a hub id of a {kind.upper()}, such as {_KNOWN[kind]}"
    try:
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found = about["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{key}: {folder} has no config.json of a model; {remedy}", key=key
        ) from None
    if found != kind:
        raise ConfigError(f"{key}: {folder} is a model of type {found}; {remedy}", key=key)
    if not identity.weights_of(folder, ""):
        raise ConfigError(f"{key}: {folder} has no weights; download it again", key=key)
    return dict(about)


def _check_head(file: Path, width: int) -> None:
    """ConfigError unless it is a linear layer on vectors of CLIP's `width`."""
    told = f"score_aesthetic={file}: not a linear layer with weight and bias"
    try:
        shapes = tensors.shapes(file, key="score_aesthetic", trust_pickle=True)  # runs none of it
    except ModelError as error:
        raise ConfigError(f"{told}: {error}", key="score_aesthetic") from None
    if not {"weight", "bias"} <= shapes.keys():
        raise ConfigError(f"{told}: it has {', '.join(list(shapes)[:3])}", key="score_aesthetic")
    if shapes["weight"][-1:] != (width,):
        raise ConfigError(
            f"score_aesthetic={file}: takes {shapes['weight'][-1]} numbers, but CLIP gives "
            f"{width}; set score_clip= to the CLIP that it was trained on",
            key="score_aesthetic",
        )


def clip_folder(config: Config, spec: ModelSpec) -> Path:
    """Of the CLIP that is named, else the model's own clip/, else OpenAI's. Raises ModelError."""
    if not config.score_clip:
        own = places.find(spec) / "clip"
        if own.is_dir():
            return own
    return places.anywhere(config.score_clip or CLIP, key="score_clip")


def head_file(config: Config) -> Path:
    if not config.score_aesthetic:
        raise ConfigError(
            "score=aesthetic: score_aesthetic= must name the predictor's file, such as "
            "sa_0_4_vit_l_14_linear.pth of github.com/LAION-AI/aesthetic-predictor",
            key="score",
        )
    file = Path(config.score_aesthetic).expanduser()
    if not file.is_file():
        raise ConfigError(
            f"score_aesthetic={config.score_aesthetic}: there is no such file",
            key="score_aesthetic",
        )
    return file


def caption_folder(config: Config) -> Path:
    name = BLIP if config.caption == "blip" else config.caption
    return places.anywhere(name, key="caption")
