"""The settings of a cell: one row each, which is a field of Recipe. No torch.

Whatever sdviz knows of a setting stands in its row: its type and default, what it takes, what it is
called elsewhere, when it has no effect, what of it counts for a cell's key. All other modules, the
command line's configuration and the page read the rows, so that a new setting is a new row and the
code that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sdviz.errors import ConfigError
from sdviz.plan import loras, samplers
from sdviz.plan.prompts import is_plain
from sdviz.plan.setting import Idle, Setting, row, table, without

_SURELY_SHORT = 75  # bytes of a prompt; a token of CLIP is one at least


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

    model: str = row(
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
    prompt: str = row(
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
    negative: str = row(
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
    cfg: float = row(
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
    sampler: str = row(
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
    schedule: str = row(
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
    steps: int = row(
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
    seed: int = row(
        42,  # -1 has been replaced by a drawn seed before a Recipe is made
        "-1 draws one for the whole sweep and records it",
        least=-1,
        most=2**64 - 1,
        infotext="Seed",
        plot="Seed",
        always=True,
        form=6,
    )
    width: int = row(
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
    height: int = row(
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
    eta: float | None = row(
        None,  # the sampler's own
        "noise of DDIM (0) and of the ancestral samplers (1)",
        least=0,
        most=1,
        infotext="Eta",
        plot="Eta",
        argument="eta",
    )
    shift: float | None = row(
        None,  # the model's own; Esser et al. 2024, section 5.3.2
        "time shift of flow-matching models; default: the model's; above 1: more noise for longer",
        least=0.01,
        most=100,
        elsewhere=("flowshift", "timeshift", "timestepshift"),
        flow=True,
    )
    guidance_rescale: float = row(
        0.0,  # share of the guided prediction that is brought back to the contrast of the prompt's
        "reduces burnt colours at high CFG; 0.7 is usual",  # Lin et al. 2023, section 3.4
        least=0,
        most=1,
        infotext_reads=("CFG Rescale φ",),
        batched_only=True,
        idle=_UNGUIDED,
        idle_alone=True,
    )
    clip_skip: int = row(
        1,
        "1 takes CLIP's last layer, 2 the one before it",
        least=1,
        most=12,
        elsewhere=("clipstopatlastlayers",),
        infotext="Clip skip",
        batched_only=True,
        plot="Clip skip",
    )
    emphasis: str = row(
        "a1111",
        "a1111: (word:1.3), [word], BREAK, long prompts; none: prompts as typed",
        choices=("a1111", "none"),
        infotext="Emphasis",
        infotext_values={"none": "None"},
        idle=Idle("on short prompts without brackets", _is_plain),
    )
    sr: str = row(
        "",  # what stands in the prompt for the search text, the first value of the axis
        "pyramid,house,tree: replaces the first value in the prompts by each value",
        elsewhere=("promptsr",),
        absorbed=True,
        plot="Prompt S/R",
    )
    init: str = row(
        "",
        "image to start from: a file, or a cell of an archive: outputs/<name>#<number>",
        none=True,
        elsewhere=("image", "initimage"),
        path=True,
        content="pixels",
        counts="steps",
        batched_only=True,
    )
    strength: float = row(
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
    resize: str = row(
        "stretch",
        "how `init` gets the size of the picture: stretch, crop, fill",
        choices=("stretch", "crop", "fill"),
        needs="init=photo.png",
    )
    noise_seed: int | None = row(
        None,
        "seed of the start noise only; default: `seed`",
        least=0,
        most=2**64 - 1,
        batched_only=True,
    )
    variation_seed: int = row(
        0,
        "seed of the noise that is mixed into the start noise",
        least=0,
        most=2**64 - 1,
        elsewhere=("subseed", "varseed"),
        infotext="Variation seed",
        needs="variation_strength=0.1",
        plot="Var. seed",
    )
    variation_strength: float = row(
        0.0,
        "how much of that noise: 0 is none, 1 replaces the seed's",
        least=0,
        most=1,
        elsewhere=("subseedstrength", "varstrength"),
        infotext="Variation seed strength",
        batched_only=True,
        plot="Var. strength",
    )
    seed_resize: str = row(
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
    tiling: bool = row(
        False,  # convolutions wrap around
        "opposite edges of the picture match",
        infotext="Tiling",
        batched_only=True,
    )
    hires_scale: float = row(
        1.0,
        "above 1: a second pass at this multiple of the size",
        least=1,
        most=8,
        elsewhere=("enablehr", "hrscale"),
        infotext="Hires upscale",
        counts="steps",
        batched_only=True,
    )
    hires_upscaler: str = row(
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
    hires_steps: int = row(
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
    hires_strength: float = row(
        0.7,
        "`strength` of the second pass",
        least=0,
        most=1,
        composed=True,
        counts="steps",
        needs="hires_scale=2",
        plot="Denoising",
    )
    lora: str = row(
        "",
        "a LoRA for the model: a file, a folder or a hub id; a+b for two; none",
        none=True,
        infotext="Lora hashes",
        composed=True,
        path=True,
        content="file",
        idle=Idle("at lora_scale=0", lambda recipe: loras.is_off(recipe.lora_scale)),
    )
    lora_scale: float | str = row(
        1.0,
        "strength of the LoRA, 1+0.5 of two; 0 is the model without it",
        summed=True,
        least=-100,
        most=100,
        elsewhere=("loraweight", "lorastrength"),
        composed=True,
        idle=without("lora"),
        idle_alone=True,
    )
    embedding: str = row(
        "",
        "textual inversions: a file or a folder of them; prompts use them by file name",
        none=True,
        infotext="TI hashes",
        composed=True,
        path=True,
        content="words",
        batched_only=True,
    )
    vae: str = row(
        "",
        "replaces the model's VAE: a folder, a file or a hub id; none",
        none=True,
        infotext="VAE",
        composed=True,
        path=True,
        content="file",
        plot="VAE",
    )
    safety: str = row(
        "none",
        "what happens to pictures that the safety checker flags: mark, blur, black",
        choices=("none", "mark", "blur", "black"),
        content="checker",
    )
    watermark: bool = row(
        False,
        "adds Stable Diffusion XL's invisible watermark",
        counts="size",
    )


SETTINGS: Mapping[str, Setting] = table(Recipe)

# A setting at its default is left out of the key, so that a new setting does not change old keys.
DEFAULTS: Mapping[str, Any] = {name: row.default for name, row in SETTINGS.items()}


def names(which: Callable[[Setting], object]) -> tuple[str, ...]:
    """The settings whose row is one of those, in the table's order."""
    return tuple(name for name, row in SETTINGS.items() if which(row))
