"""What only the cells of a plan can tell: steps that a sampler does not take, settings without
effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from sdviz.errors import ConfigError, SdvizError
from sdviz.passes import passes
from sdviz.plan import Plan, Recipe
from sdviz.samplers import resolve


def steps(plan: Plan) -> Iterator[SdvizError]:
    """Cells with more steps than their sampler can take, such as LCM's 50."""
    asked = {
        (recipe.sampler, part.steps): None for recipe in _distinct(plan) for part in passes(recipe)
    }
    for name, count in asked:
        most = resolve(name).max_steps
        if count > most:
            yield ConfigError(f"steps={count}: {name} takes {most} at most")


def eta(plan: Plan) -> list[str]:
    """A warning, naming them, where `eta` is given to samplers that have none."""
    asked = {cell.recipe.sampler: None for cell in plan.cells if cell.recipe.eta is not None}
    without = [name for name in asked if not resolve(name).method.takes_eta]
    if not without:
        return []
    several = len({cell.recipe.eta for cell in plan.cells}) > 1
    alike = "; cells that differ in it alone are the same picture" if several else ""
    return [f"eta: has no effect on {', '.join(without)}{alike}"]


def _distinct(plan: Plan) -> list[Recipe]:
    """One recipe for each way of counting steps: a plan has up to 100,000 cells."""
    found = {}
    for cell in plan.cells:
        recipe = cell.recipe
        found[recipe.sampler, recipe.steps, recipe.hires_scale, recipe.hires_steps] = recipe
    return list(found.values())
