"""What the denoiser is told of a prompt: weights, chunks, layers left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdviz.models.denoiser import Text
from sdviz.models.families.clip_text import ClipText, emphasised
from tests.settings.making import Pipelines, apart, made, recipe

LONG = "a red cat, " * 12 + "and a moon"  # 100 tokens and more: each is a character


@pytest.fixture(scope="module")
def words(pipelines: Pipelines) -> ClipText:
    return ClipText(pipelines.text.tokenizer, pipelines.text.text_encoder)


@torch.no_grad()
def hidden(words: ClipText, prompt: str, **how: Any) -> torch.Tensor:
    return words.encode(Text(prompt, **how))[0]


def test_a_plain_prompt_is_the_same_with_emphasis_and_without(words: ClipText) -> None:
    prompt = "a cat, sitting: 3"
    assert torch.equal(hidden(words, prompt), hidden(words, prompt, emphasis="none"))


def test_brackets_are_text_without_emphasis(words: ClipText, pipelines: Pipelines) -> None:
    theirs, _ = pipelines.text.encode_prompt("a (cat:2)", "cpu", 1, False)
    assert torch.equal(hidden(words, "a (cat:2)", emphasis="none"), theirs[0])
    assert not torch.allclose(hidden(words, "a (cat:2)"), theirs[0])


def test_weights_multiply_the_tokens_they_stand_at(words: ClipText) -> None:
    plain, weighted = hidden(words, "a b"), hidden(words, "(a:1.5) b")
    ratio = weighted / plain
    others = ratio[0]
    assert torch.allclose(ratio[1], 1.5 * others, rtol=1e-3)
    assert torch.allclose(ratio[2], others, rtol=1e-3)


def test_emphasis_follows_its_definition() -> None:
    states = torch.randn(77, 8, generator=torch.Generator().manual_seed(0)) + 1
    factors = torch.ones(77, 1)
    factors[1:3] = torch.tensor([[0.5], [2.0]])
    expected = states * factors * (states.mean() / (states * factors).mean())
    assert torch.allclose(emphasised(states, (0.5, 2.0)), expected, atol=1e-6)


def test_emphasis_is_as_strong_in_half_precision() -> None:
    states = torch.randn(77, 768, generator=torch.Generator().manual_seed(0)).bfloat16() + 0.3
    weighted = emphasised(states, (1.3, 1.7, 0.6))
    assert weighted.dtype == torch.bfloat16
    # Rounded, each number is off by up to 0.4 %, and their mean by next to nothing.
    assert weighted.float().mean() == pytest.approx(float(states.float().mean()), rel=3e-4)


def test_a_mean_of_nothing_but_rounding_is_not_restored() -> None:
    """The quotient of two roundings could be anything, -4 as well."""
    states = torch.randn(77, 8, generator=torch.Generator().manual_seed(0))
    states -= states.mean()
    weighted = emphasised(states, (2.0,))
    assert torch.equal(weighted[1], 2 * states[1])


def test_a_long_prompt_is_encoded_chunk_by_chunk(words: ClipText) -> None:
    both = hidden(words, "abc BREAK xyz")
    assert both.shape[0] == 2 * 77
    assert torch.equal(both[:77], hidden(words, "abc"))
    assert torch.equal(both[77:], hidden(words, "xyz"))
    assert hidden(words, LONG).shape[0] % 77 == 0
    assert hidden(words, LONG).shape[0] > 77
    assert hidden(words, LONG, emphasis="none").shape[0] == 77


def test_the_end_of_a_long_prompt_counts(tiny_model: Path) -> None:
    one = recipe(prompt=LONG + " red")
    other = replace(one, prompt=LONG + " sun")
    pictures = made(
        [one, other, *(replace(r, emphasis="none") for r in (one, other)), recipe()], tiny_model
    )
    assert not np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[2], pictures[3])
    # rows with texts of several lengths in one tick: each as it is alone
    assert apart(pictures[0], made([one], tiny_model)[0]) <= 1


def test_long_prompts_equal_the_pipeline_given_their_encoding(
    tiny_model: Path, pipelines: Pipelines, words: ClipText
) -> None:
    one = recipe(prompt=LONG + " (red:1.3)", negative="blue BREAK green", cfg=4.0)
    (short, long) = (hidden(words, one.negative), hidden(words, one.prompt))
    assert short.shape == long.shape, "diffusers needs both of one length"
    expected = pipelines(
        one, prompt=None, negative_prompt=None,
        prompt_embeds=long[None], negative_prompt_embeds=short[None],
    )  # fmt: skip
    assert apart(made([one], tiny_model)[0], expected) <= 1


def test_clip_skip_takes_an_earlier_layer(words: ClipText, pipelines: Pipelines) -> None:
    encoder = pipelines.text.text_encoder
    ids = words.tokenizer("a cat", padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        states = encoder(ids, output_hidden_states=True).hidden_states
        norm = getattr(encoder, "text_model", encoder).final_layer_norm
        expected = norm(states[-2])[0]
    assert torch.allclose(hidden(words, "a cat", clip_skip=2), expected, atol=1e-5)
    assert torch.allclose(hidden(words, "a cat", clip_skip=1), norm(states[-1])[0], atol=1e-5)


def test_clip_skip_changes_the_picture(tiny_model: Path) -> None:
    first, second = made([recipe(), recipe(clip_skip=2)], tiny_model)
    assert not np.array_equal(first, second)


def test_guidance_rescale_equals_the_pipeline(tiny_model: Path, pipelines: Pipelines) -> None:
    recipes = [
        recipe(cfg=12.0, guidance_rescale=0.7, sampler="Euler"),
        recipe(cfg=12.0, sampler="DDIM"),
        recipe(cfg=1.0, guidance_rescale=0.7, sampler="Euler"),
    ]
    pictures = made(recipes, tiny_model)
    for one, picture in zip(recipes, pictures, strict=True):
        assert apart(picture, pipelines(one, guidance_rescale=one.guidance_rescale)) <= 1
    assert apart(pictures[0], pipelines(recipes[0])) > 1
