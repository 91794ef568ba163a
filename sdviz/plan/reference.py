"""The converged images that samplers are measured by: what each cell's is. No torch.

Without noise on the way, a sampler solves the model's probability flow ODE (Song et al. 2021,
arXiv:2011.13456, section 4.3), and all of them tend to its one solution as their steps grow many.
Papers on samplers measure how far a picture of few steps is from that of a high-order solver at
many (Zheng et al. 2023, arXiv:2310.13268); so do we. docs/decisions.md says why by this sampler.
"""

from __future__ import annotations

from dataclasses import replace

from sdviz.plan.cells import Cell, Plan, cell_key
from sdviz.plan.samplers import resolve
from sdviz.plan.settings import Recipe

SAMPLER = "Heun Beta"


def referenced(plan: Plan, steps: int) -> Plan:
    """`plan` with a converged image for every cell, one for all that share it; 0 steps: none."""
    if not steps:
        return plan
    numbers = {cell.key: cell.index for cell in plan.cells}
    known: dict[Recipe, int] = {}
    references: list[Cell] = []
    for cell in plan.cells:
        recipe = converged(cell.recipe, steps)
        if recipe in known:
            continue
        key = cell_key(
            recipe,
            model_identity=plan.identities[recipe.model],
            dtype=plan.dtype,
            contents=plan.contents,
        )
        if key not in numbers:  # nor is it a cell of the grid
            numbers[key] = len(plan.cells) + len(references)
            references.append(Cell(numbers[key], (), recipe, key, reference=True))
        known[recipe] = numbers[key]
    referred = tuple(known[converged(cell.recipe, steps)] for cell in plan.cells)
    return replace(plan, references=tuple(references), referred=referred)


def converged(recipe: Recipe, steps: int) -> Recipe:
    """The recipe of the image that `recipe`'s would be, had its sampler an endless number of steps
    and no noise on the way.
    """
    return replace(recipe, sampler=SAMPLER, steps=steps, eta=None, hires_steps=0)


def converges(recipe: Recipe) -> bool:
    """Whether more steps bring the image nearer to its reference: not where noise is drawn at each
    step.
    """
    method = resolve(recipe.sampler).method
    if method.stochastic:
        return method.takes_eta and recipe.eta == 0
    return not (method.takes_eta and recipe.eta)
