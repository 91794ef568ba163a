"""The settings of a cell: one row each, which is a field of Recipe. No torch.

Whatever sdviz knows of a setting stands in its row: its type and default, what it takes, what it is
called elsewhere, when it has no effect, what of it counts for a cell's key. All other modules, the
command line's configuration and the page read the rows, so that a new setting is a new row and the
code that uses it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import NoneType
from typing import Any, get_args, get_type_hints

from sdviz.errors import ConfigError, nearest
from sdviz.plan import loras, samplers
from sdviz.plan.prompts import is_plain

_SURELY_SHORT = 75  # bytes of a prompt; a token of CLIP is one at least


@dataclass(frozen=True)
class Idle:
    """Where a setting has no effect, in words, and whether that holds for a recipe."""

    where: str
    holds: Callable[[Recipe], bool]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row. The name, the type and the default are those of the field of Recipe."""

    help: str  # one line of `--help`
    name: str = ""
    default: Any = None
    kind: str = ""  # "int", "float": numbers and ranges; "word": names; "text": prompts; "flag"
    nullable: bool = False  # null is a value of its own, and not the model's default

    # What it takes.
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()  # of a word, where only these will do
    summed: bool = False  # also several numbers, 1+0.5, one for each part of another setting
    pattern: tuple[str, str] = ("", "")  # of a word: a regular expression, and its meaning in words
    spelling: Callable[[Any], list[Any]] | None = None  # values that a word stands for, or an error
    none: bool = False  # "" switches it off, for which people type "none"

    # What it is called.
    key: str = ""  # at the root of the configuration, where Hydra needs the name for a group
    plural: str = ""  # key for several values at once, a file or a list
    elsewhere: tuple[str, ...] = ()  # in other programs, without signs between the words
    infotext: str = ""  # in stable-diffusion-webui's `parameters`; "": "sdviz <name>"
    infotext_values: Mapping[Any, str] = field(default_factory=dict)  # there, where they differ
    infotext_reads: tuple[str, ...] = ()  # further names of it there, which are read
    composed: bool = False  # sdviz.pictures.infotext writes it together with others
    plot: str = ""  # as an axis of stable-diffusion-webui's X/Y/Z plot
    argument: str = ""  # of a pipeline of diffusers that is not batched; "": its own affair

    # How it is shown.
    always: bool = False  # also at its default
    speaks: bool = False  # its value needs no name beside it
    path: bool = False  # its value may be a path, which is shown as short as possible
    form: int = 0  # place of its field in the live form; 0: one of the further settings

    # What it does.
    absorbed: bool = False  # the prompt or the sampler's name has its effect in it already
    content: str = ""  # what counts for the key, of what it names: "file", "pixels", "words"; or
    # "checker": its value, and the model's safety checker
    counts: str = ""  # what it decides: "steps" and evaluations, "rows" of each, "size" in pixels
    batched_only: bool = False  # other pipelines do not take it
    flow: bool | None = None  # True: for models trained by flow matching alone; False: not for them
    needs: str = ""  # without it there is no use for this: `hires_scale=2`
    idle: Idle | None = None  # from `needs`, or where it has no effect
    idle_alone: bool = False  # worth a warning also where no two cells are alike by it

    @property
    def root(self) -> str:
        """Its key at the root of the composed configuration."""
        return self.key or self.name

    @property
    def pair(self) -> str:
        """Its name in the `parameters` of a PNG."""
        return self.infotext or f"sdviz {self.name}".replace("_", " ")

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        if self.kind == "flag":
            return "true or false"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.kind in ("word", "text"):
            return {"word": "a name", "text": "a text"}[self.kind]
        kind = {"int": "a whole number", "float": "a number"}[self.kind]
        most = "2**64 - 1" if self.most == 2**64 - 1 else f"{self.most:g}"
        return f"{kind} from {self.least:g} to {most}"

    def checked(self, value: Any) -> list[Any]:
        """The values that `value` stands for, in their one spelling; mostly one. Raises ConfigError
        where it is none of this setting.
        """
        if value is None or self.kind == "text":
            return [value]
        if self.kind == "flag":
            if str(value).lower() not in ("true", "false"):
                raise ConfigError(f"{self.name}={value}: must be {self.takes}", key=self.name)
            return [str(value).lower() == "true"]
        if self.kind == "word":
            return self._checked_word(value)
        if self.summed and isinstance(value, str):
            for one in loras.scales(value):
                self.checked(one)
            return [value]
        if not self.least <= value <= self.most:
            typed = f"{value:.10g}" if isinstance(value, float) else value
            raise ConfigError(f"{self.name}={typed}: must be {self.takes}", key=self.name)
        return [value]

    def _checked_word(self, value: str) -> list[Any]:
        if self.none and value == "none":
            return [""]
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name}={value}: {nearest(value, self.choices)}", key=self.name)
        expression, meaning = self.pattern
        if expression and not re.fullmatch(expression, value):
            raise ConfigError(f"{self.name}={value}: must be {meaning}", key=self.name)
        return self.spelling(value) if self.spelling else [value]


def _row(default: Any, help: str, **known: Any) -> Any:
    """A field of Recipe, with its row."""
    return field(default=default, metadata={"row": Setting(help=help, **known)})


def _at(name: str, value: Any) -> Idle:
    return Idle(f"at {name}={value:g}", lambda recipe: bool(getattr(recipe, name) == value))


def _without(name: str) -> Idle:
    return Idle(f"without {name}=", lambda recipe: not getattr(recipe, name))


def is_guided(recipe: Recipe) -> bool:
    """Does classifier-free guidance act? As in diffusers: not at a CFG scale of 1 and below."""
    return recipe.cfg > 1


_UNGUIDED = Idle("at cfg=1 and below", lambda recipe: not is_guided(recipe))


def _is_plain(recipe: Recipe) -> bool:
    """Do its prompts surely mean the same with emphasis and without?"""
    texts = (recipe.prompt, recipe.negative)
    return all(is_plain(text) and len(text.encode()) <= _SURELY_SHORT for text in texts)


def _is_own_size(recipe: Recipe) -> bool:
    own = f"{recipe.width}x{recipe.height}"
    return recipe.hires_scale == 1 and recipe.seed_resize in ("", own)


def _sampler(value: str) -> list[str]:
    return list(samplers.every()) if value == "all" else [samplers.resolve(value).name]


def _schedule(value: str) -> list[str]:
    return [samplers.schedule_named(value)]


def _size(value: str) -> list[str]:
    for side in filter(None, value.split("x")):
        try:
            SETTINGS["width"].checked(int(side))
        except ConfigError as error:
            raise ConfigError(f"seed_resize={value}: {error}", key="seed_resize") from None
    return [value]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every setting that can change a cell's pixels, by its root key's name on the command line."""

    model: str = _row(
        "miniature",
        "a name from conf/model/, a folder, a checkpoint or a hub id",
        key="models",
        elsewhere=("checkpoint", "ckpt"),
        infotext="Model",
        composed=True,
        plot="Checkpoint name",
        always=True,
        path=True,
        form=9,
        counts="size",
    )
    prompt: str = _row(
        "",
        "what to draw; may contain commas",
        kind="text",
        plural="prompts",
        composed=True,
        plot="Prompt",
        always=True,
        speaks=True,
        form=1,
    )
    negative: str = _row(
        "",
        "what not to draw",
        kind="text",
        plural="negatives",
        elsewhere=("negativeprompt",),
        composed=True,
        plot="Negative prompt",
        argument="negative_prompt",
        always=True,
        form=2,
        idle=_UNGUIDED,
        idle_alone=True,
    )
    cfg: float = _row(
        7.0,
        "CFG scale; 1 and below switch guidance off",  # one row instead of two
        least=0,
        most=1000,
        elsewhere=("cfgscale", "guidancescale"),
        infotext="CFG scale",
        plot="CFG Scale",
        always=True,
        form=3,
        counts="rows",
    )
    sampler: str = _row(
        "DPM++ 2M Karras",  # stable-diffusion-webui's spelling, a name of sdviz.plan.samplers
        "stable-diffusion-webui's names, or euler_a, dpmpp_2m_karras; all",
        spelling=_sampler,
        elsewhere=("samplername",),
        infotext="Sampler",
        composed=True,
        plot="Sampler",
        always=True,
        speaks=True,
        form=4,
        counts="steps",
    )
    schedule: str = _row(
        "",  # as the sampler's name says
        "schedule of sigmas: automatic, uniform, karras, exponential, beta, sgm_uniform",
        spelling=_schedule,
        infotext="Schedule type",
        composed=True,
        plot="Schedule type",
        absorbed=True,
        flow=False,
        counts="steps",
    )
    steps: int = _row(
        20,
        "sampler steps",
        least=1,
        most=10_000,
        elsewhere=("numinferencesteps",),
        infotext="Steps",
        plot="Steps",
        always=True,
        form=5,
        counts="steps",
    )
    seed: int = _row(
        42,  # -1 has been replaced by a drawn seed before a Recipe is made
        "-1 draws one for the whole sweep and records it",
        least=-1,
        most=2**64 - 1,
        infotext="Seed",
        plot="Seed",
        always=True,
        form=6,
    )
    width: int = _row(
        0,  # stands for the model's native size until the plan resolves it
        "pixels; default: the model's native size",
        least=8,
        most=16_384,
        infotext="Size",
        composed=True,
        plot="Width",
        always=True,
        form=7,
        counts="size",
    )
    height: int = _row(
        0,
        "pixels; default: the model's native size",
        least=8,
        most=16_384,
        infotext="Size",
        composed=True,
        plot="Height",
        always=True,
        form=8,
        counts="size",
    )
    eta: float | None = _row(
        None,  # the sampler's own
        "noise of DDIM (0) and of the ancestral samplers (1)",
        least=0,
        most=1,
        infotext="Eta",
        plot="Eta",
        argument="eta",
    )
    shift: float | None = _row(
        None,  # the model's own; Esser et al. 2024, section 5.3.2
        "time shift of flow-matching models; default: the model's; above 1: more noise for longer",
        least=0.01,
        most=100,
        elsewhere=("flowshift", "timeshift", "timestepshift"),
        flow=True,
    )
    guidance_rescale: float = _row(
        0.0,  # share of the guided prediction that is brought back to the contrast of the prompt's
        "reduces burnt colours at high CFG; 0.7 is usual",  # Lin et al. 2023, section 3.4
        least=0,
        most=1,
        infotext_reads=("CFG Rescale φ",),
        batched_only=True,
        idle=_UNGUIDED,
        idle_alone=True,
    )
    clip_skip: int = _row(
        1,
        "1 takes CLIP's last layer, 2 the one before it",
        least=1,
        most=12,
        elsewhere=("clipstopatlastlayers",),
        infotext="Clip skip",
        batched_only=True,
        plot="Clip skip",
    )
    emphasis: str = _row(
        "a1111",
        "a1111: (word:1.3), [word], BREAK, long prompts; none: prompts as typed",
        choices=("a1111", "none"),
        infotext="Emphasis",
        infotext_values={"none": "None"},
        idle=Idle("on short prompts without brackets", _is_plain),
    )
    sr: str = _row(
        "",  # what stands in the prompt for the search text, the first value of the axis
        "pyramid,house,tree: replaces the first value in the prompts by each value",
        elsewhere=("promptsr",),
        absorbed=True,
        plot="Prompt S/R",
    )
    init: str = _row(
        "",
        "image to start from: a file, or a cell of an archive: outputs/<name>#<number>",
        none=True,
        elsewhere=("image", "initimage"),
        path=True,
        content="pixels",
        counts="steps",
        batched_only=True,
    )
    strength: float = _row(
        0.8,
        "how far `init` is noised; this share of the steps denoises it",
        least=0,
        most=1,
        elsewhere=("denoise", "denoising", "denoisingstrength"),
        infotext="Denoising strength",
        composed=True,
        counts="steps",
        needs="init=photo.png",
        plot="Denoising",
    )
    resize: str = _row(
        "stretch",
        "how `init` gets the size of the picture: stretch, crop, fill",
        choices=("stretch", "crop", "fill"),
        needs="init=photo.png",
    )
    noise_seed: int | None = _row(
        None,
        "seed of the start noise only; default: `seed`",
        least=0,
        most=2**64 - 1,
        batched_only=True,
    )
    variation_seed: int = _row(
        0,
        "seed of the noise that is mixed into the start noise",
        least=0,
        most=2**64 - 1,
        elsewhere=("subseed", "varseed"),
        infotext="Variation seed",
        needs="variation_strength=0.1",
        plot="Var. seed",
    )
    variation_strength: float = _row(
        0.0,
        "how much of that noise: 0 is none, 1 replaces the seed's",
        least=0,
        most=1,
        elsewhere=("subseedstrength", "varstrength"),
        infotext="Variation seed strength",
        batched_only=True,
        plot="Var. strength",
    )
    seed_resize: str = _row(
        "",
        "512x512: draws the start noise for that size and places it in the middle",
        pattern=(r"[1-9]\d{0,4}x[1-9]\d{0,4}|", "a size such as 512x512"),
        spelling=_size,
        none=True,
        infotext="Seed resize from",
        batched_only=True,
        idle=Idle("at the picture's own size", _is_own_size),
        idle_alone=True,
    )
    tiling: bool = _row(
        False,  # convolutions wrap around
        "opposite edges of the picture match",
        infotext="Tiling",
        batched_only=True,
    )
    hires_scale: float = _row(
        1.0,
        "above 1: a second pass at this multiple of the size",
        least=1,
        most=8,
        elsewhere=("enablehr", "hrscale"),
        infotext="Hires upscale",
        counts="steps",
        batched_only=True,
    )
    hires_upscaler: str = _row(
        "latent",
        "upscaler before the second pass: latent, latent-nearest, pixel",
        choices=("latent", "latent-nearest", "pixel"),
        infotext="Hires upscaler",
        infotext_values={
            "latent": "Latent",
            "latent-nearest": "Latent (nearest)",
            "pixel": "Lanczos",
        },
        needs="hires_scale=2",
        plot="Hires upscaler",
    )
    hires_steps: int = _row(
        0,
        "steps of the second pass's schedule; 0: as many as `steps`",
        least=0,
        most=10_000,
        infotext="Hires steps",
        infotext_values={0: ""},
        counts="steps",
        needs="hires_scale=2",
        plot="Hires steps",
    )
    hires_strength: float = _row(
        0.7,
        "`strength` of the second pass",
        least=0,
        most=1,
        composed=True,
        counts="steps",
        needs="hires_scale=2",
        plot="Denoising",
    )
    lora: str = _row(
        "",
        "a LoRA for the model: a file, a folder or a hub id; a+b for two; none",
        none=True,
        infotext="Lora hashes",
        composed=True,
        path=True,
        content="file",
        idle=Idle("at lora_scale=0", lambda recipe: loras.is_off(recipe.lora_scale)),
    )
    lora_scale: float | str = _row(
        1.0,
        "strength of the LoRA, 1+0.5 of two; 0 is the model without it",
        summed=True,
        least=-100,
        most=100,
        elsewhere=("loraweight", "lorastrength"),
        composed=True,
        idle=_without("lora"),
        idle_alone=True,
    )
    embedding: str = _row(
        "",
        "textual inversions: a file or a folder of them; prompts use them by file name",
        none=True,
        infotext="TI hashes",
        composed=True,
        path=True,
        content="words",
        batched_only=True,
    )
    vae: str = _row(
        "",
        "replaces the model's VAE: a folder, a file or a hub id; none",
        none=True,
        infotext="VAE",
        composed=True,
        path=True,
        content="file",
        plot="VAE",
    )
    safety: str = _row(
        "none",
        "what happens to pictures that the safety checker flags: mark, blur, black",
        choices=("none", "mark", "blur", "black"),
        content="checker",
    )
    watermark: bool = _row(
        False,
        "adds Stable Diffusion XL's invisible watermark",
        counts="size",
    )


def _setting(name: str, hint: Any, row: Setting) -> Setting:
    """The row, with what the field's annotation says."""
    types = get_args(hint) or (hint,)
    kinds = {int: "int", float: "float", str: "word", bool: "flag"}
    return replace(row, name=name, kind=row.kind or kinds[types[0]], nullable=NoneType in types)


def _table() -> dict[str, Setting]:
    """Every row by name; where one is idle follows from what it needs."""
    hints = get_type_hints(Recipe)
    rows = {
        f.name: replace(_setting(f.name, hints[f.name], f.metadata["row"]), default=f.default)
        for f in fields(Recipe)
    }
    for name, row in rows.items():
        needed = row.needs.partition("=")[0]
        if needed:
            off = rows[needed].default
            idle = _without(needed) if off == "" else _at(needed, off)
            rows[name] = replace(row, idle=idle)
    return rows


SETTINGS: Mapping[str, Setting] = _table()

# A setting at its default is left out of the key, so that a new setting does not change old keys.
DEFAULTS: Mapping[str, Any] = {name: row.default for name, row in SETTINGS.items()}


def names(which: Callable[[Setting], object]) -> tuple[str, ...]:
    """The settings whose row is one of those, in the table's order."""
    return tuple(name for name, row in SETTINGS.items() if which(row))
