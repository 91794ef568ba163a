"""What only whole recipes can tell: steps that a sampler does not take, settings without effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sdviz.errors import ConfigError, SdvizError
from sdviz.passes import passes
from sdviz.plan import Plan, Recipe
from sdviz.planning import combinations, make_axes
from sdviz.samplers import resolve
from sdviz.where import Rule, matches

# What steps and sizes hang on. All other settings are left at one value: a plan has up to a million
# cells, and these few combinations.
_COUNTED = (
    *("model", "sampler", "steps", "init", "strength", "width", "height"),
    *("hires_scale", "hires_steps", "hires_strength"),
)


def counted(
    values: Mapping[str, Sequence[Any]],
    zipped: Sequence[Sequence[str]],
    rules: Sequence[Rule],
    defaults: Mapping[str, Mapping[str, Any]],
) -> list[Recipe]:
    """One recipe for each way of counting steps and pixels that the plan will have.

    It is made before there is a plan, so that what it tells is told together with other faults;
    `defaults` are by model, as for sdviz.planning.make_plan. Raises ConfigError where there are too
    many combinations.
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
    return [Recipe(**settings) for settings in found.values()]


def steps(recipes: Iterable[Recipe]) -> Iterator[SdvizError]:
    """Recipes with more steps than their sampler can take, such as LCM's 50."""
    asked = {(recipe.sampler, part.steps): None for recipe in recipes for part in passes(recipe)}
    for name, count in asked:
        most = resolve(name).max_steps
        if count > most:
            yield ConfigError(f"steps={count}: {name} takes {most} at most")


def warnings(plan: Plan) -> list[str]:
    """What settings have no effect, and on what."""
    return [*_eta(plan), *_idle(plan), *_alike(plan)]


def overlap(seeds: Sequence[int], made: Sequence[int]) -> list[str]:
    """A warning where the seeds that follow `seeds` are some of them again; `made` are all."""
    different = len(set(made))
    if different == len(made) or len(set(seeds)) < len(seeds):
        return []
    names = ", ".join(map(str, seeds))
    told = f"seed: those that follow {names} meet: {different} different seeds, not {len(made)}"
    return [f"{told}; leave more room between them"]


def _idle(plan: Plan) -> list[str]:
    """Warnings where settings have no effect on some cells: without guidance, without a LoRA."""
    unguided = [cell.recipe for cell in plan.cells if cell.recipe.cfg == 1]
    bare = [cell.recipe for cell in plan.cells if not cell.recipe.lora]
    found = {
        "negative: has no effect at cfg=1": any(one.negative for one in unguided),
        "guidance_rescale: has no effect at cfg=1": any(one.guidance_rescale for one in unguided),
        "lora_scale: has no effect without lora=": any(one.lora_scale != 1 for one in bare),
    }
    return [warning for warning, is_so in found.items() if is_so]


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
    return [f"{told}; cells that differ in it alone are the same picture"]


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
    alike = "; cells that differ in it alone are the same picture" if several else ""
    return [f"eta: has no effect on {', '.join(without)}{alike}"]
