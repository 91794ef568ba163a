"""Checks of whole recipes: steps that a sampler does not take, settings without effect."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdviz.errors import ConfigError, SdvizError, gathered
from sdviz.models.addons.checks import SMALLEST_MARKED
from sdviz.plan.passes import GRID, passes
from sdviz.plan.planning import combinations, make_axes, recipe_of
from sdviz.plan.rules import matches
from sdviz.plan.samplers import rescheduled, resolve
from sdviz.plan.settings import Recipe, names
from sdviz.request.checks.asked import Asked

if TYPE_CHECKING:
    pass

# What steps and sizes hang on. All other settings are left at one value: a plan has up to a million
# cells, and these few combinations.
_COUNTED = names(lambda row: row.counts in ("steps", "size"))


def counted(asked: Asked) -> list[Recipe]:
    """One recipe for each different count of steps and pixels in the plan.

    It is made before the plan, so that these faults are reported together with others. Raises
    ConfigError for too many combinations, and ConfigErrors if samplers do not fit schedules.
    """
    values, zipped, rules = asked.values, asked.zipped, asked.rules
    kept = {*_COUNTED, *(term.key for rule in rules for term in rule)}
    kept.update(*(group for group in zipped if kept.intersection(group)))
    fewer = {name: several if name in kept else several[:1] for name, several in values.items()}
    axes = make_axes(fewer, [group for group in zipped if kept.intersection(group)])
    fixed = {name: several[0] for name, several in fewer.items()}
    distinct = {
        tuple(settings[name] for name in _COUNTED): settings
        for settings in combinations(axes, fixed, asked.defaults)
        if not (rules and matches(rules, settings))
    }
    pairs = {(settings["sampler"], settings["schedule"]) for settings in distinct.values()}
    gathered([functools.partial(_scheduled, *pair) for pair in sorted(pairs)])
    return [recipe_of(settings) for settings in distinct.values()]


def _scheduled(sampler: str, schedule: str) -> list[str]:
    return [rescheduled(sampler, schedule)] if schedule else []


def steps(asked: Asked) -> Iterator[SdvizError]:
    """Recipes with more steps than their sampler can take, such as LCM's 50."""
    pairs = {(one.sampler, part.steps): None for one in asked.recipes for part in passes(one)}
    for name, count in pairs:
        most = resolve(name).max_steps
        if count > most:
            yield ConfigError(f"steps={count}: {name} allows at most {most}", key="steps")


def images(asked: Asked) -> Iterator[SdvizError]:
    """Passes that start from an image and have no step left, or make it no larger."""
    messages: dict[str, None] = {}
    for recipe in asked.recipes:
        first, *second = passes(recipe)
        for name, part in zip(("strength", "hires_strength"), (first, *second), strict=False):
            if part.count < 1:
                least = math.ceil(1000 / part.steps) / 1000
                share = f"{name}={getattr(recipe, name):g}"
                messages[
                    f"{share}: leaves none of {part.steps} steps; {least:g} is the smallest value"
                ] = None
        if any((first.width, first.height) == (part.width, part.height) for part in second):
            messages[
                f"hires_scale={recipe.hires_scale:g}: makes a picture of {first.width}x"
                f"{first.height} no larger, in steps of {GRID} pixels"
            ] = None
    yield from map(ConfigError, messages)


def watermarks(asked: Asked) -> Iterator[SdvizError]:
    """Finished pictures that have no room for the watermark that they are to have."""
    messages: dict[str, None] = {}
    for recipe in (recipe for recipe in asked.recipes if recipe.watermark):
        end = passes(recipe)[-1]
        for side, length in (("width", end.width), ("height", end.height)):
            if length < SMALLEST_MARKED:
                messages[
                    f"watermark=true: needs {SMALLEST_MARKED} pixels per side, but the {side} of "
                    f"{recipe.model} is {length}; add {side}={SMALLEST_MARKED}"
                ] = None
    yield from map(ConfigError, messages)
