"""Recipes, axes and cells: what a sweep will compute, known before a model is loaded. No torch."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sdviz.plan.prompts import said


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every setting that can change a cell's pixels, by its root key's name on the command line."""

    model: str = "miniature"  # a file of conf/model/, a folder, a checkpoint or a hub id
    prompt: str = ""
    negative: str = ""
    cfg: float = 7.0  # CFG scale; 1 switches guidance off (one row instead of two)
    sampler: str = "DPM++ 2M Karras"  # A1111's spelling, a name of sdviz.plan.samplers
    schedule: str = ""  # of sigmas, and part of the sampler's name then; "": as that name says
    steps: int = 20
    seed: int = 42  # 0 .. 2**64 - 1; -1 has been replaced by a drawn seed before a Recipe is made
    width: int = 0  # pixels; 0 stands for the model's native size until the plan resolves it
    height: int = 0
    eta: float | None = None  # DDIM's eta, the ancestral noise of others; None: the sampler's own
    guidance_rescale: float = 0.0  # share of the guided prediction that is brought back to the
    # contrast of the prompt's own (Lin et al. 2023, section 3.4)
    clip_skip: int = 1  # as A1111 counts: 1 takes CLIP's last layer, 2 the one before it
    emphasis: str = "a1111"  # (word:1.3), [word], BREAK and long prompts as A1111; "none": as typed
    sr: str = ""  # what stands in the prompt for the search text, the first value of the axis
    init: str = ""  # image to start from: a file, or a cell of an archive, outputs/<name>#<number>
    strength: float = 0.8  # share of the steps that an init image is noised for and denoised in
    resize: str = "stretch"  # how the init image takes the size: stretch, crop, fill
    noise_seed: int | None = None  # of the start noise alone; None: `seed`
    variation_seed: int = 0  # of the noise that is mixed into the start noise
    variation_strength: float = 0.0  # how far towards that noise: 0 none of it, 1 it alone
    seed_resize: str = ""  # WxH: draw the start noise for that size and put it into the middle
    tiling: bool = False  # convolutions wrap around, so that the picture's edges fit together
    hires_scale: float = 1.0  # > 1: a second pass at this multiple of the size
    hires_upscaler: str = "latent"  # latent, latent-nearest, pixel
    hires_steps: int = 0  # of the second pass's schedule; 0: as many as `steps`
    hires_strength: float = 0.7  # of the second pass, as `strength`
    lora: str = ""  # LoRA over the model: a file, a folder, a hub id; "" for none
    lora_scale: float = 1.0  # of the LoRA; 0 is the model without it
    embedding: str = ""  # textual inversions: a file, or a folder of them; "" for none
    vae: str = ""  # VAE in the place of the model's own: a folder, a file, a hub id
    safety: str = "none"  # of pictures that the safety checker flags: mark, blur, black
    watermark: bool = False  # the invisible one of Stable Diffusion XL


# A setting at its default is left out of the key, so that a new setting does not change old keys.
DEFAULTS: Mapping[str, Any] = {f.name: f.default for f in fields(Recipe)}
# Switched off by "", for which people type "none".
SWITCHED_OFF = ("lora", "vae", "embedding", "init", "seed_resize")
_FILES = {"init", "lora", "vae"}  # settings whose value names a file: its content counts
CHECKER = "safety checker of {}"  # its name among the contents; each model may have one of its own
ABSORBED = ("sr", "schedule")  # the prompt and the sampler's name have them in them already
_KEYED = sorted([*(name for name in DEFAULTS if name not in ABSORBED), "dtype"])


@functools.lru_cache(maxsize=65_536, typed=True)  # typed: 7 and 7.0 are equal and not the same text
def _fragment(name: str, value: Any) -> str:
    return f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}"


def cell_key(
    recipe: Recipe, *, model_identity: str, dtype: str, contents: Mapping[str, str] | None = None
) -> str:
    """The content hash (64 hex digits) of everything that can change the cell's pixels.

    `model_identity` is the hash of the model's weights (sdviz.models.files.identity), so that a
    folder may move and keep its cells; `dtype` is the denoiser's, as torch names it ("float32",
    "bfloat16"); `contents` has the hash of each file that a setting names, by that name, for the
    same reason. The text that is hashed (SHA-256, UTF-8) is a JSON object: keys sorted, no spaces,
    settings at their default left out.
    """
    fragments = []
    values = vars(recipe)
    for name in _KEYED:
        if name == "model":
            fragments.append(_fragment(name, model_identity))
        elif name == "dtype":
            fragments.append(_fragment(name, dtype))
        elif (value := values[name]) != DEFAULTS[name]:
            if contents and name == "embedding":
                value = said(contents[value], recipe.prompt, recipe.negative)
                if not value:  # none of its words is said
                    continue
            elif contents and name in _FILES:
                value = contents[value]
            elif contents and name == "safety":
                value = f"{value} by {contents.get(CHECKER.format(recipe.model), '')}"
            fragments.append(_fragment(name, value))
    return hashlib.sha256(("{" + ",".join(fragments) + "}").encode()).hexdigest()


@dataclass(frozen=True)
class Axis:
    """One direction of the grid: a setting with its values, or several settings zipped together.

    `values[i]` is the tuple of values, one a key, at position i.
    """

    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def name(self) -> str:
        return "+".join(self.keys)


@dataclass(frozen=True)
class Cell:
    """One full recipe, one final image. `coords[a]` is its position along axis a of the plan."""

    index: int
    coords: tuple[int, ...]
    recipe: Recipe
    key: str
    reference: bool = False  # outside the grid: others are measured by it, and it needs no frames


@dataclass(frozen=True)
class Plan:
    """The axes and the cells of a sweep; cells are in row-major order of the axes, the last
    fastest.

    `index` counts the cells that are left after `exclude=`; `coords` tell where in the grid a cell
    is.
    """

    axes: tuple[Axis, ...]
    cells: Sequence[Cell]
    excluded: int = 0  # combinations that `exclude=` dropped
    dtype: str = "float32"
    identities: Mapping[str, str] = field(default_factory=dict)  # model name -> hash of its weights
    contents: Mapping[str, str] = field(default_factory=dict)  # init image, LoRA, VAE -> its hash
    references: Sequence[Cell] = ()  # sdviz.plan.reference; their numbers follow those of `cells`
    referred: Sequence[int] = ()  # cell -> the number of its reference, -1 for none; () for no cell
    distilled: frozenset[str] = frozenset()  # models that have their CFG scale trained in, as Flux

    @functools.cached_property
    def everything(self) -> Sequence[Cell]:
        """All that is to be computed, by number: the grid's cells, and their references."""
        return [*self.cells, *self.references] if self.references else self.cells

    def execution_order(self) -> list[Cell]:
        """The cells as the engine should take them: each model once, then each size, then as
        planned.
        """
        return execution_order(self.everything)


def execution_order(cells: Sequence[Cell]) -> list[Cell]:
    """Cells grouped by model, and within it by size, since only those share a batch; both as first
    seen.
    """
    groups: dict[str, dict[tuple[int, int], list[Cell]]] = {}
    for cell in cells:
        recipe = cell.recipe
        sizes = groups.setdefault(recipe.model, {})
        sizes.setdefault((recipe.width, recipe.height), []).append(cell)
    return [cell for sizes in groups.values() for group in sizes.values() for cell in group]
