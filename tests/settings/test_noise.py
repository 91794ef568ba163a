"""The start noise: variations and other sizes, by stable-diffusion-webui's definition."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sdviz.engine.noise import Shape, slerp, start_noise
from sdviz.plan.settings import Recipe
from tests.settings.making import apart, made, recipe

SHAPE: Shape = (4, 8, 8)


def noise(shape: Shape = SHAPE, **settings: object) -> torch.Tensor:
    one = Recipe(**{"seed": 5, "width": 64, "height": 64, **settings})  # type: ignore[arg-type]
    return start_noise(one, shape, torch.Generator().manual_seed(one.seed))


def drawn(seed: int, shape: Shape = SHAPE) -> torch.Tensor:
    return torch.randn((1, *shape), generator=torch.Generator().manual_seed(seed))


def test_without_variation_it_is_the_seeds_own() -> None:
    assert torch.equal(noise(), drawn(5))
    assert torch.equal(noise(variation_seed=9), drawn(5))


def test_full_variation_is_the_other_seeds_noise() -> None:
    varied = noise(variation_seed=9, variation_strength=1.0)
    assert torch.allclose(varied, drawn(9), atol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_variation_follows_the_arc_between_columns(share: float) -> None:
    varied = noise(variation_seed=9, variation_strength=share)
    low, high = drawn(5)[0, 2, :, 3], drawn(9)[0, 2, :, 3]  # one channel's column
    angle = math.acos(float(low @ high / (low.norm() * high.norm())))
    expected = (math.sin((1 - share) * angle) * low + math.sin(share * angle) * high) / math.sin(
        angle
    )
    assert torch.allclose(varied[0, 2, :, 3], expected, atol=1e-5)


def test_a_little_variation_keeps_the_size_of_the_noise() -> None:
    """A straight mixture of halves would have a standard deviation of 0.7."""
    varied = noise((4, 64, 64), variation_seed=9, variation_strength=0.5)
    assert float(varied.std()) == pytest.approx(1, abs=0.02)


def test_parallel_noises_are_mixed_without_an_arc() -> None:
    one = drawn(1)
    assert torch.allclose(slerp(0.3, one, one), one)


def test_noise_of_one_row_is_mixed_without_an_arc() -> None:
    low, high = drawn(1, (4, 1, 8)), drawn(2, (4, 1, 8))
    assert torch.allclose(slerp(0.3, low, high), 0.7 * low + 0.3 * high)


def test_a_smaller_noise_lies_in_the_middle() -> None:
    resized = noise(seed_resize="32x32")
    assert torch.equal(resized[:, :, 2:6, 2:6], drawn(5, (4, 4, 4)))
    around = resized.clone()
    around[:, :, 2:6, 2:6] = 0
    ground = drawn(5)
    ground[:, :, 2:6, 2:6] = 0
    assert torch.equal(around, ground)


def test_of_a_larger_noise_the_middle_is_taken() -> None:
    resized = noise(seed_resize="128x96")  # width x height: 16 columns, 12 rows
    assert torch.equal(resized, drawn(5, (4, 12, 16))[:, :, 2:10, 4:12])


def test_the_same_size_changes_nothing() -> None:
    assert torch.equal(noise(seed_resize="64x64"), noise())


def test_a_noise_seed_is_that_of_the_start_alone(tiny_model: Path) -> None:
    assert torch.equal(noise(noise_seed=8), drawn(8))
    base = recipe(sampler="Euler", seed=1, noise_seed=4)
    same, other, plain = made([base, replace(base, seed=2), recipe(sampler="Euler", seed=4)],
                              tiny_model)  # fmt: skip
    assert apart(same, other) <= 1, "Euler draws nothing after the start"
    assert apart(same, plain) <= 1
    ancestral = [replace(base, sampler="Euler a", seed=seed) for seed in (1, 2)]
    first, second = made(ancestral, tiny_model)
    assert not np.array_equal(first, second)


def test_a_small_variation_is_a_small_change(tiny_model: Path) -> None:
    base = recipe(sampler="Euler", variation_seed=3)
    own, little, full, other = made(
        [base, replace(base, variation_strength=0.02), replace(base, variation_strength=1.0),
         recipe(sampler="Euler", seed=3)],
        tiny_model,
    )  # fmt: skip
    far = np.abs(full.astype(int) - own).mean()
    assert 0 < np.abs(little.astype(int) - own).mean() < far / 4
    assert apart(full, other) <= 1


def test_eta_weighs_the_noise_of_ancestral_steps(tiny_model: Path) -> None:
    ancestral = recipe(sampler="Euler a")
    etas = [replace(ancestral, eta=eta) for eta in (0.0, 0.5, 1.0)]
    euler, none, *varied = made([recipe(sampler="Euler"), ancestral, *etas], tiny_model)
    assert apart(varied[0], euler) <= 1, "without its noise it is Euler's"
    assert not np.array_equal(varied[1], varied[0])
    assert not np.array_equal(varied[1], varied[2])
    assert apart(varied[2], none) <= 1, "all of it is the sampler as it is"
