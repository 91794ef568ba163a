"""The sizes of a model's pictures, by its configurations and its pipeline's source. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.files import diffusers_source
from sdviz.models.files.refusal import read_object

_VAES = ("vae", "movq", "vqvae", "vqgan")
# Entries of a VAE's configuration that have one number a level; each level but the last halves.
_LEVELS = ("encoder_block_out_channels", "block_out_channels", "dim_mult", "ch_mult")
_MOST_LEVELS = 10  # of a VAE
_LATENTS = 64  # rows of latents, where neither configuration nor pipeline say
# Pipelines whose sample size counts tokens of 2x2 latents.
_IN_TOKENS = ("BriaPipeline", "BriaFiboPipeline")


@dataclass(frozen=True)
class Sizes:
    width: int  # native, pixels
    height: int
    multiple: int  # of which width and height must be


def of(folder: Path, pipeline: str, denoiser: Mapping[str, Any]) -> Sizes:
    """`denoiser` is the configuration of what denoises, `pipeline` diffusers' class."""
    factor = _factor(folder)
    packed = 2 if diffusers_source.packs(pipeline) else 1
    patch = denoiser.get("patch_size") or 1
    if isinstance(patch, list | tuple):  # of frames, rows and columns
        patch = max(patch, default=1)
    rows, columns = _latents(denoiser, pipeline)
    if pipeline in _IN_TOKENS:
        rows, columns = 2 * rows, 2 * columns
    return Sizes(columns * factor, rows * factor, factor * max(packed, int(patch)))


def _latents(denoiser: Mapping[str, Any], pipeline: str) -> tuple[int, int]:
    """(rows, columns) of the latents that the denoiser was trained on."""
    sample = denoiser.get("sample_size")
    if sample is None or diffusers_source.packs(pipeline):  # such pipelines go by their own
        sample = diffusers_source.sample_size(pipeline) or sample or _LATENTS
    rows, columns = sample if isinstance(sample, list | tuple) else (sample, sample)
    return int(rows), int(columns)


def _factor(folder: Path) -> int:
    """Pixels that one latent stands for, along a side; 1 where pixels are denoised."""
    place = next((folder / name for name in _VAES if (folder / name).is_dir()), None)
    if place is None:
        return 1
    config = _read(place / "config.json")
    if isinstance(config.get("spatial_compression_ratio"), int):
        return int(config["spatial_compression_ratio"])
    levels = next((len(config[name]) for name in _LEVELS if config.get(name)), 4)
    patch = config.get("patch_size")
    return int(2 ** (min(levels, _MOST_LEVELS) - 1)) * (patch if isinstance(patch, int) else 1)


def _read(file: Path) -> dict[str, Any]:
    """{} where there is none: then it is as most are."""
    try:
        return read_object(file)
    except ModelError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return {}
        raise
