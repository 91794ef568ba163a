"""What the miniatures show of samplers: few steps, order of methods, high CFG scales, negatives.

Distances are mean absolute differences of 8-bit values to the picture that the solver converges to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from experiments.miniature import clip
from experiments.miniature.captions import full
from experiments.miniature.folder import FlowFolder, Folder, prompt_scenes
from experiments.miniature.judge import Judge, right
from sdviz.plan import samplers

FEW = (5, 8, 12)  # steps
FEW_SAMPLERS = ("Euler", "Euler a", "DDIM", "UniPC", "Heun", "DPM++ 2M", "DPM++ 2M Karras")
EVALUATIONS = (8, 16, 32)
ORDER_SAMPLERS = ("Euler", "DDIM", "Heun", "DPM++ 2M", "UniPC")
HIGH_SAMPLERS = ("Euler a", "Heun", "DPM++ 2M Karras", "DDIM", "UniPC")
CONVERGED = 64  # steps of Heun
OPEN_PROMPT, NEGATIVE = "a landscape in the desert at sunset", "pyramid"

FLOW_STEPS = (4, 8, 20)
FLOW_HIGH = 10.0  # CFG scale, the top of the flow-matching miniature's range
SHIFTS = (1.0, 3.0)


@dataclass
class Prompts:
    """The prompts of a measure, with the pictures that samplers converge to at one CFG scale."""

    folder: Folder | FlowFolder
    judge: Judge
    cfg: float
    count: int

    def __post_init__(self) -> None:
        self.scenes = prompt_scenes(self.count, "samplers", False)

    def pictures(self, steps: int, sampler: str, cfg: float | None = None) -> np.ndarray:
        prompts, seeds = [full(scene) for scene in self.scenes], list(range(self.count))
        cfg = cfg or self.cfg
        return self.folder.pictures(
            prompts, seeds, cfg=cfg, steps=steps, sampler=sampler, fast=False
        )

    @cached_property
    def converged(self) -> np.ndarray:
        return self.pictures(CONVERGED, "Heun").astype(np.float32)

    def distances(self, pictures: np.ndarray) -> np.ndarray:
        """Of each picture to the converged one, 0..255."""
        return np.abs(pictures - self.converged).mean((1, 2, 3))

    def row(self, steps: int, sampler: str) -> dict[str, float]:
        """How often the object and all facts are right, and the median distance."""
        pictures = self.pictures(steps, sampler)
        read = right(self.judge, pictures, self.scenes)
        distance = float(np.median(self.distances(pictures)))
        return {"object": read["kind"], "all six": read["all six"], "distance": distance}


def few_steps(prompts: Prompts) -> dict[str, dict[int, dict[str, float]]]:
    """By sampler and steps, as `Prompts.row`."""
    return {name: {steps: prompts.row(steps, name) for steps in FEW} for name in FEW_SAMPLERS}


def steps_within(evaluations: int, sampler: str) -> int:
    """The most steps of a sampler that take no more evaluations of the denoiser."""
    method = samplers.resolve(sampler)
    return max(n for n in range(1, evaluations + 1) if method.evaluations(n) <= evaluations)


def order(prompts: Prompts) -> dict[str, dict[int, float]]:
    """By sampler and evaluations of the denoiser: the median distance."""
    return {
        name: {
            evaluations: prompts.row(steps_within(evaluations, name), name)["distance"]
            for evaluations in EVALUATIONS
        }
        for name in ORDER_SAMPLERS
    }


def high_guidance(
    prompts: Prompts, names: tuple[str, ...] = HIGH_SAMPLERS, cfg: float = 15.0, steps: int = 12
) -> dict[str, dict[str, float]]:
    """How often the object and all facts are right at a CFG scale that burns, by sampler."""
    rows = {}
    for name in names:
        read = right(prompts.judge, prompts.pictures(steps, name, cfg), prompts.scenes)
        rows[name] = {"object": read["kind"], "all six": read["all six"], "cfg": cfg}
    return rows


def open_prompt(
    folder: Folder | FlowFolder, judge: Judge, cfg: float = 7.0, count: int = 128
) -> dict[str, object]:
    """What a prompt shows that names no object, and how many pyramids a negative prompt leaves.

    The judge always names a kind; a picture counts when it reads at least one object.
    """
    names = list(clip.FACTS)
    kind, number = names.index("kind"), names.index("count")
    rows: dict[str, object] = {"prompt": OPEN_PROMPT, "negative": NEGATIVE, "images": count}
    for name, negatives in (("without", None), ("with", [NEGATIVE] * count)):
        pictures = folder.pictures(
            [OPEN_PROMPT] * count, list(range(count)), cfg=cfg, negatives=negatives
        )
        facts = judge.read(pictures).numpy()
        there = facts[:, number] > 0
        rows[name] = {
            value: float(((facts[:, kind] == i) & there).mean())
            for i, value in enumerate(clip.FACTS["kind"])
        } | {"none": float((~there).mean())}
    return rows


def flow_steps(prompts: Prompts) -> dict[str, dict[int, dict[str, float]]]:
    """Of the flow-matching miniature: Euler and Heun, as `few_steps`."""
    return {
        name: {steps: prompts.row(steps, name) for steps in (FLOW_STEPS)}
        for name in ("Euler", "Heun")
    }


def shifts(folder: FlowFolder, count: int = 16) -> dict[str, float]:
    """The mean difference, of 255, between pictures of `shift=1` and `shift=3`, by steps."""
    scenes = prompt_scenes(count, "shift", False)
    prompts, seeds = [full(scene) for scene in scenes], list(range(count))
    apart = {}
    for steps in (8, 100):
        low, high = (
            folder.pictures(prompts, seeds, steps=steps, shift=shift).astype(np.float32)
            for shift in SHIFTS
        )
        apart[f"{steps} steps"] = float(np.abs(low - high).mean())
    return apart
