"""What only whole recipes can tell: steps that a sampler does not take, settings without effect."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sdviz.checks import WITH_CLIP
from sdviz.errors import ConfigError, SdvizError, gathered
from sdviz.models import kinds
from sdviz.models.extras import SMALLEST_MARKED
from sdviz.models.prompt_weights import is_plain
from sdviz.passes import GRID, passes
from sdviz.plan import DEFAULTS, Plan, Recipe, spoken
from sdviz.planning import combinations, make_axes, recipe_of
from sdviz.samplers import rescheduled, resolve
from sdviz.where import Rule, matches

if TYPE_CHECKING:
    from sdviz.models import ModelInfo

# What steps and sizes hang on. All other settings are left at one value: a plan has up to a million
# cells, and these few combinations.
_COUNTED = (
    *("model", "sampler", "schedule", "steps", "init", "strength", "width", "height"),
    *("hires_scale", "hires_steps", "hires_strength", "watermark"),
)

# Settings, where they have no effect, and on what recipes.
_IDLE: Mapping[str, tuple[str, Callable[[Recipe], bool]]] = {
    "negative": ("at cfg=1", lambda one: one.cfg == 1),
    "guidance_rescale": ("at cfg=1", lambda one: one.cfg == 1),
    "emphasis": ("on short prompts without brackets", lambda one: _is_plain(one)),
    "strength": ("without init=", lambda one: not one.init),
    "resize": ("without init=", lambda one: not one.init),
    "variation_seed": ("at variation_strength=0", lambda one: not one.variation_strength),
    "seed_resize": ("at the picture's own size", lambda one: _is_own_size(one)),
    "hires_upscaler": ("at hires_scale=1", lambda one: one.hires_scale == 1),
    "hires_steps": ("at hires_scale=1", lambda one: one.hires_scale == 1),
    "hires_strength": ("at hires_scale=1", lambda one: one.hires_scale == 1),
    "lora": ("at lora_scale=0", lambda one: not one.lora_scale),
    "lora_scale": ("without lora=", lambda one: not one.lora),
}
# Worth a word also where no two cells are alike by it.
_IDLE_ALONE = ("negative", "guidance_rescale", "seed_resize", "lora_scale")
_SAME = "; cells that differ in it alone are the same picture"
_OWN_GUIDANCE = "true_cfg_scale"  # pipelines with it heed a negative prompt by it alone
_SURELY_SHORT = 75  # bytes; a token of CLIP is one at least


def _is_plain(recipe: Recipe) -> bool:
    """Do its prompts surely mean the same with emphasis and without?"""
    texts = (recipe.prompt, recipe.negative)
    return all(is_plain(text) and len(text.encode()) <= _SURELY_SHORT for text in texts)


def _is_own_size(recipe: Recipe) -> bool:
    own = f"{recipe.width}x{recipe.height}"
    return recipe.hires_scale == 1 and recipe.seed_resize in ("", own)


def counted(
    values: Mapping[str, Sequence[Any]],
    zipped: Sequence[Sequence[str]],
    rules: Sequence[Rule],
    defaults: Mapping[str, Mapping[str, Any]],
) -> list[Recipe]:
    """One recipe for each way of counting steps and pixels that the plan will have.

    It is made before there is a plan, so that what it tells is told together with other faults;
    `defaults` are by model, as for sdviz.planning.make_plan. Raises ConfigError where there are too
    many combinations, ConfigErrors where samplers do not go with schedules.
    """
    kept = {*_COUNTED, *(term.key for rule in rules for term in rule)}
    kept.update(*(group for group in zipped if kept.intersection(group)))
    fewer = {name: several if name in kept else several[:1] for name, several in values.items()}
    axes = make_axes(fewer, [group for group in zipped if kept.intersection(group)])
    fixed = {name: several[0] for name, several in fewer.items()}
    found = {
        tuple(settings[name] for name in _COUNTED): settings
        for settings in combinations(axes, fixed, defaults)
        if not matches(rules, settings)
    }
    pairs = {(settings["sampler"], settings["schedule"]) for settings in found.values()}
    gathered([functools.partial(_scheduled, *pair) for pair in sorted(pairs)])
    return [recipe_of(settings) for settings in found.values()]


def _scheduled(sampler: str, schedule: str) -> list[str]:
    return [rescheduled(sampler, schedule)] if schedule else []


def steps(recipes: Iterable[Recipe]) -> Iterator[SdvizError]:
    """Recipes with more steps than their sampler can take, such as LCM's 50."""
    asked = {(recipe.sampler, part.steps): None for recipe in recipes for part in passes(recipe)}
    for name, count in asked:
        most = resolve(name).max_steps
        if count > most:
            yield ConfigError(f"steps={count}: {name} takes {most} at most")


def images(recipes: Iterable[Recipe]) -> Iterator[SdvizError]:
    """Passes that start from an image and have no step left, or make it no larger."""
    found: dict[str, None] = {}
    for recipe in recipes:
        first, *second = passes(recipe)
        for name, part in zip(("strength", "hires_strength"), (first, *second), strict=False):
            if part.count < 1:
                least = math.ceil(1000 / part.steps) / 1000
                share = f"{name}={getattr(recipe, name):g}"
                found[f"{share}: no step of {part.steps} is left; {least:g} is the least"] = None
        if any((first.width, first.height) == (part.width, part.height) for part in second):
            found[
                f"hires_scale={recipe.hires_scale:g}: makes a picture of {first.width}x"
                f"{first.height} no larger, in steps of {GRID} pixels"
            ] = None
    yield from map(ConfigError, found)


def watermarks(recipes: Iterable[Recipe]) -> Iterator[SdvizError]:
    """Finished pictures that have no room for the watermark that they are to have."""
    found: dict[str, None] = {}
    for recipe in (recipe for recipe in recipes if recipe.watermark):
        end = passes(recipe)[-1]
        for side, length in (("width", end.width), ("height", end.height)):
            if length < SMALLEST_MARKED:
                found[
                    f"watermark=true: needs {SMALLEST_MARKED} pixels a side, and the {side} of "
                    f"{recipe.model} is {length}; add {side}={SMALLEST_MARKED}"
                ] = None
    yield from map(ConfigError, found)


def warnings(plan: Plan) -> list[str]:
    """What settings have no effect, and on what."""
    return [*_eta(plan), *_schedules(plan), *_embeddings(plan), *_idle(plan), *_alike(plan)]


def unheard(plan: Plan, infos: Mapping[str, ModelInfo]) -> list[str]:
    """Warnings where a model does not read prompts as those of Stable Diffusion 1, 2 and XL do."""
    told: dict[str, None] = {}
    for recipe in (cell.recipe for cell in plan.cells):
        info = infos[recipe.model]
        if info.kind in WITH_CLIP:
            continue
        if recipe.emphasis != "none" and not is_plain(recipe.prompt + recipe.negative):
            told[f"emphasis: {recipe.model} takes prompts as typed, brackets and all"] = None
        if recipe.negative and not info.is_batched and kinds.takes(info.pipeline, _OWN_GUIDANCE):
            told[f"negative: has no effect on {recipe.model}, whose guidance is distilled"] = None
    return list(told)


def overlap(seeds: Sequence[int], made: Sequence[int]) -> list[str]:
    """A warning where the seeds that follow `seeds` are some of them again; `made` are all."""
    different = len(set(made))
    if different == len(made) or len(set(seeds)) < len(seeds):
        return []
    names = ", ".join(map(str, seeds))
    told = f"seed: those that follow {names} meet: {different} different seeds, not {len(made)}"
    return [f"{told}; leave more room between them"]


def _embeddings(plan: Plan) -> list[str]:
    """Warnings where no prompt says a word of the embeddings that are given."""
    texts: dict[str, set[str]] = {}
    for recipe in (cell.recipe for cell in plan.cells if cell.recipe.embedding):
        texts.setdefault(recipe.embedding, set()).update((recipe.prompt, recipe.negative))
    told = []
    for name, own in texts.items():
        words = json.loads(plan.contents[name])
        if not spoken(words, own):
            few = ", ".join(sorted(words)[:3]) + (" ..." if len(words) > 3 else "")
            told.append(f"embedding={name}: no prompt says a word of it ({few})")
    return told


def _schedules(plan: Plan) -> list[str]:
    """Warnings where schedules of two names are one: "Automatic" stands for another."""
    names: dict[str, dict[str, None]] = {}
    for recipe in (cell.recipe for cell in plan.cells):
        names.setdefault(recipe.sampler, {})[recipe.schedule] = None
    several = {sampler: own for sampler, own in names.items() if len(own) > 1}
    return [f"schedule: {' and '.join(own)} are the same for {resolve(sampler).method_name}{_SAME}"
            for sampler, own in several.items()]  # fmt: skip


def _idle(plan: Plan) -> list[str]:
    """Warnings where settings have no effect on some cells, and where that makes cells alike."""
    recipes = [cell.recipe for cell in plan.cells]
    values = zip(*set(map(attrgetter(*_IDLE), recipes)), strict=True)
    told = []
    for (name, (where, is_idle)), several in zip(_IDLE.items(), values, strict=True):
        if set(several) <= {DEFAULTS[name]}:
            continue
        if not any(is_idle(one) for one in recipes if getattr(one, name) != DEFAULTS[name]):
            continue
        idle = [one for one in recipes if is_idle(one)]
        alike = len({replace(one, **{name: DEFAULTS[name]}) for one in idle}) < len(set(idle))
        if alike or name in _IDLE_ALONE:
            told.append(f"{name}: has no effect {where}" + _SAME * alike)
    return told


def _alike(plan: Plan) -> list[str]:
    """A warning where seeds make no difference: one start noise, and no noise on the way."""
    seeds: dict[Recipe, set[int]] = {}
    for recipe in (cell.recipe for cell in plan.cells):
        if recipe.noise_seed is not None and recipe.hires_scale == 1 and not _draws(recipe):
            seeds.setdefault(replace(recipe, seed=0), set()).add(recipe.seed)
    names = dict.fromkeys(recipe.sampler for recipe, own in seeds.items() if len(own) > 1)
    if not names:
        return []
    told = f"seed: has no effect on {', '.join(names)} where the start noise is fixed"
    return [told + _SAME]


def _draws(recipe: Recipe) -> bool:
    """Does the sampler draw noise at its steps?"""
    method = resolve(recipe.sampler).method
    return bool(recipe.eta) if recipe.eta is not None and method.takes_eta else method.stochastic


def _eta(plan: Plan) -> list[str]:
    """A warning, naming them, where `eta` is given to samplers that have none."""
    asked = {cell.recipe.sampler: None for cell in plan.cells if cell.recipe.eta is not None}
    without = [name for name in asked if not resolve(name).method.takes_eta]
    if not without:
        return []
    several = len({cell.recipe.eta for cell in plan.cells}) > 1
    return [f"eta: has no effect on {', '.join(without)}" + _SAME * several]
