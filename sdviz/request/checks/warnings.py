"""What is worth a warning: settings without effect, cells that are alike, prompts that are cut or
misread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from sdviz.models.addons import checks
from sdviz.plan.cells import GUIDANCE
from sdviz.plan.prompts import is_plain, words_used
from sdviz.plan.samplers import resolve
from sdviz.plan.settings import SETTINGS, Recipe, is_guided
from sdviz.request.checks.asked import Planned

if TYPE_CHECKING:
    pass

_MOST_WARNINGS = 5
WITH_CLIP = ("sd1", "sd2", "sdxl")  # the kinds that have CLIP


def prompts(planned: Planned) -> list[str]:
    """A warning for each prompt of which the text encoder does not see the end, with that end."""
    plan, infos = planned.plan, planned.infos
    texts: dict[tuple[str, str, str], None] = {}
    for cell in plan.cells:
        if cell.recipe.emphasis == "a1111" and infos[cell.recipe.model].kind in WITH_CLIP:
            continue  # long prompts go on in further chunks
        texts[(cell.recipe.model, "prompt", cell.recipe.prompt)] = None
        texts[(cell.recipe.model, "negative", cell.recipe.negative)] = None
    warnings = []
    for model, key, text in texts:
        for cut in infos[model].check_prompt(text):
            warnings.append(
                f"{key}={_short(text)}: the text encoder of {model} takes "
                f"{infos[model].max_tokens} tokens; it ignores: {cut!r}"
            )
    if len(warnings) > _MOST_WARNINGS:
        more = len(warnings) - _MOST_WARNINGS
        return [
            *warnings[:_MOST_WARNINGS],
            f"{more} more prompts are too long for the text encoder",
        ]
    return warnings


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


_IDLE = {name: row for name, row in SETTINGS.items() if row.idle}
_SAME = "; cells that differ only in it are the same picture"


def ignored_prompts(planned: Planned) -> list[str]:
    """Warnings where a model does not read prompts as those of Stable Diffusion 1, 2 and XL do."""
    warnings = []
    for recipe in (cell.recipe for cell in planned.plan.cells):
        model, info = recipe.model, planned.infos[recipe.model]
        if info.kind in WITH_CLIP:
            continue
        if recipe.emphasis != "none" and not is_plain(recipe.prompt + recipe.negative):
            warnings.append(f"emphasis: {model} takes prompts as typed, including brackets")
        if info.is_batched:
            continue
        use = info.guidance.negative
        if recipe.negative and info.guidance.is_distilled and use == "ignored":
            warnings.append(f"negative: has no effect on {model}, whose guidance is distilled")
        elif use == "needed" and not info.guidance.blank and not recipe.negative:
            if recipe.cfg > 1:
                warnings.append(
                    f"cfg: has no effect on {model} without a negative prompt; say negative="
                )
        elif use == "needed" and recipe.negative and recipe.cfg <= 1:
            warnings.append(f"negative: has no effect on {model} at cfg={recipe.cfg:g}")
    return list(dict.fromkeys(warnings))


def overlap(planned: Planned) -> list[str]:
    """A warning where the seeds that follow `seeds` are some of them again."""
    seeds, made = planned.seeds, planned.all_seeds
    different = len(set(made))
    if different == len(made) or len(set(seeds)) < len(seeds):
        return []
    names = ", ".join(map(str, seeds))
    message = (
        f"seed: the seeds that follow {names} overlap: {different} different seeds, not {len(made)}"
    )
    return [f"{message}; choose seeds that are further apart"]


def embeddings(planned: Planned) -> list[str]:
    """Warnings where no prompt uses a word of an embedding."""
    plan = planned.plan
    texts: dict[str, set[str]] = {}
    for recipe in (cell.recipe for cell in plan.cells if cell.recipe.embedding):
        texts.setdefault(recipe.embedding, set()).update((recipe.prompt, recipe.negative))
    warnings = []
    for name, prompts in texts.items():
        words = json.loads(plan.contents[name])
        if not words_used(words, prompts):
            few = ", ".join(sorted(words)[:3]) + (" ..." if len(words) > 3 else "")
            warnings.append(f"embedding={name}: no prompt uses one of its words ({few})")
    return warnings


def schedules(planned: Planned) -> list[str]:
    """Warnings where two names mean the same schedule, such as "Automatic"."""
    plan = planned.plan
    names: dict[str, dict[str, None]] = {}
    for recipe in (cell.recipe for cell in plan.cells):
        names.setdefault(recipe.sampler, {})[recipe.schedule] = None
    several = {sampler: aliases for sampler, aliases in names.items() if len(aliases) > 1}
    methods = {sampler: resolve(sampler).method_name for sampler in several}
    return [f"schedule: {' and '.join(aliases)} are the same for {methods[sampler]}{_SAME}"
            for sampler, aliases in several.items()]  # fmt: skip


def unguided(planned: Planned) -> list[str]:
    """A warning where several CFG scales switch guidance off."""
    plan = planned.plan
    scales: dict[str, set[float]] = {}
    for recipe in (cell.recipe for cell in plan.cells if not is_guided(cell.recipe)):
        if GUIDANCE.format(recipe.model) in plan.contents:
            scales.setdefault(recipe.model, set()).add(recipe.cfg)
    several = [sorted(values) for values in scales.values() if len(values) > 1]
    return [f"cfg: {' and '.join(f'{one:g}' for one in values)} all switch guidance off{_SAME}"
            for values in several]  # fmt: skip


def idle(planned: Planned) -> list[str]:
    """Warnings where settings have no effect on some cells, and where that makes cells alike."""
    plan = planned.plan
    recipes = [cell.recipe for cell in plan.cells]
    values = zip(*set(map(attrgetter(*_IDLE), recipes)), strict=True)
    warnings = []
    for (name, row), several in zip(_IDLE.items(), values, strict=True):
        assert row.idle is not None
        if set(several) <= {row.default}:
            continue
        if not any(row.idle.holds(one) for one in recipes if getattr(one, name) != row.default):
            continue
        idle = [one for one in recipes if row.idle.holds(one)]
        alike = len({replace(one, **{name: row.default}) for one in idle}) < len(set(idle))
        if alike or row.idle_alone:
            warnings.append(f"{name}: has no effect {row.idle.where}" + _SAME * alike)
    return warnings


def alike(planned: Planned) -> list[str]:
    """A warning where seeds make no difference: one start noise, and no noise on the way."""
    plan = planned.plan
    seeds: dict[Recipe, set[int]] = {}
    for recipe in (cell.recipe for cell in plan.cells):
        if recipe.noise_seed is not None and recipe.hires_scale == 1 and not _draws(recipe):
            seeds.setdefault(replace(recipe, seed=0), set()).add(recipe.seed)
    names = dict.fromkeys(recipe.sampler for recipe, values in seeds.items() if len(values) > 1)
    if not names:
        return []
    message = f"seed: has no effect on {', '.join(names)} where the start noise is fixed"
    return [message + _SAME]


def _draws(recipe: Recipe) -> bool:
    """Does the sampler draw noise at its steps?"""
    method = resolve(recipe.sampler).method
    return bool(recipe.eta) if recipe.eta is not None and method.takes_eta else method.stochastic


def eta(planned: Planned) -> list[str]:
    """A warning that names the samplers on which `eta` has no effect."""
    plan = planned.plan
    asked = {cell.recipe.sampler: None for cell in plan.cells if cell.recipe.eta is not None}
    without = [name for name in asked if not resolve(name).method.takes_eta]
    if not without:
        return []
    several = len({cell.recipe.eta for cell in plan.cells}) > 1
    return [f"eta: has no effect on {', '.join(without)}" + _SAME * several]


# What it is, how it looks, and what to do instead.
_SIGNS = (
    (
        "LoRAs in prompts are not loaded",
        re.compile(r"<(?:lora|lyco|lycoris|hypernet):[^<>]+>"),
        "give lora=file.safetensors and lora_scale=0.7",
    ),
    (
        "prompts do not alternate from step to step",
        re.compile(r"(?<!\\)\[[^\[\]]*\|[^\[\]]*\]"),
        "sweep the words: sr=red,blue",
    ),
    (
        "prompts do not change during the steps",
        re.compile(r"(?<!\\)\[[^\[\]|]*:\s*[-+]?\d*\.?\d+\s*\]"),
        "sweep the words: sr=cat,dog",
    ),
    (
        "AND does not mix prompts",
        re.compile(r"(?<=\s)AND(?=\s)"),
        "write one text, with weights such as (word:1.3)",
    ),
    ("wildcards are not expanded", re.compile(r"\b__[\w/*-]+__\b"), "give prompts=file.txt"),
)


def prompt_signs(planned: Planned) -> list[str]:
    """A warning for each such sign that occurs in the plan's prompts, with its first occurrence."""
    plan = planned.plan
    texts = {text for one in plan.cells for text in (one.recipe.prompt, one.recipe.negative)}
    return list(_signs(sorted(texts)))


def _signs(texts: Iterable[str]) -> Iterator[str]:
    for fault, sign, remedy in _SIGNS:
        hit = next((match for match in map(sign.search, texts) if match), None)
        if hit:
            yield f"`{hit[0]}` in a prompt is read as text: {fault}; {remedy}"


def bundled(planned: Planned) -> list[str]:
    """Warnings of embeddings in LoRAs, which are left out."""
    recipes = [cell.recipe for cell in planned.plan.cells]
    models = {recipe.lora: recipe.model for recipe in recipes if recipe.lora}
    warnings = []
    for name, model in models.items():
        if words := checks.bundled(name, planned.config.models[model]):
            warnings.append(
                f"lora={name}: brings the embedding {', '.join(words)} along, which sdviz leaves "
                "out; give it as a file in embedding="
            )
    return warnings
