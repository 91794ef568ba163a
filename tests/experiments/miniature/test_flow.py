"""The flow-matching miniature: what trains is what diffusers' own pipeline runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, StableDiffusion3Pipeline
from transformers import CLIPModel, CLIPTokenizer

from experiments.miniature import export, flow
from experiments.miniature.clip import token_ids
from experiments.miniature.folder import FlowFolder
from experiments.miniature.run_flow import pipeline_of

FOLDER = Path(__file__).parents[3] / "sdviz" / "miniature"
PROMPT = "two blue houses in the snow at night"

pytestmark = pytest.mark.skipif(
    not (FOLDER / "model_index.json").exists(), reason="the miniature is not in this checkout"
)


@pytest.fixture(scope="module")
def parts():  # type: ignore[no-untyped-def]
    clip = CLIPModel.from_pretrained(FOLDER / "clip")
    tokenizer = CLIPTokenizer.from_pretrained(FOLDER / "tokenizer")
    torch.manual_seed(0)
    second = flow.second_encoder(tokenizer, 32, 2)
    model = flow.Flow(flow.first_encoder(clip), second, layers=3, heads=2, head=16)
    for parameter in model.parameters():  # diffusers starts some at zero, which would hide faults
        torch.nn.init.normal_(parameter, std=0.1)
    vae = AutoencoderKL.from_pretrained(FOLDER / "vae")
    return model.eval(), clip, tokenizer, vae


@torch.no_grad()
def test_one_counted_token_does_what_the_pipelines_256_empty_ones_do(parts) -> None:  # type: ignore
    model, clip, tokenizer, vae = parts
    ids = token_ids(tokenizer, [PROMPT, ""])
    noisy = torch.randn(2, 4, 16, 16)
    shares = torch.tensor([0.9, 0.3])
    trained = model(noisy, shares, flow.encoded(flow.first_encoder(clip), ids), ids)
    pipeline = pipeline_of(model, clip, tokenizer, vae, 1.0)
    context, empty, pooled, empty_pooled = pipeline.encode_prompt(PROMPT, None, None)
    assert context.shape[1] == 77 + 256
    shipped = pipeline.transformer(
        noisy,
        torch.cat([context, empty]),
        torch.cat([pooled, empty_pooled]),
        1000 * shares,
    ).sample
    assert trained.std() > 0.01
    assert torch.allclose(trained, shipped, atol=1e-4 * float(trained.abs().max()))


def test_the_written_folder_makes_the_same_picture_in_plain_diffusers(parts, tmp_path) -> None:  # type: ignore
    model, clip, tokenizer, vae = parts

    def picture(pipeline: StableDiffusion3Pipeline) -> np.ndarray:
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(
            PROMPT,
            negative_prompt="a boat",
            num_inference_steps=3,
            guidance_scale=3.0,
            generator=torch.Generator().manual_seed(0),
            output_type="np",
        ).images[0]

    before = picture(pipeline_of(model, clip, tokenizer, vae, 1.0))
    tiny = AutoencoderTiny.from_pretrained(FOLDER / "vae_tiny")
    size = export.write_flow_folder(
        tmp_path / "flow", pipeline_of(model, clip, tokenizer, vae, 1.0), tiny
    )
    assert size < 20_000_000
    after = picture(StableDiffusion3Pipeline.from_pretrained(tmp_path / "flow"))
    assert after.shape == (128, 128, 3)
    assert np.abs(before - after).mean() < 0.01, "not the weights that were written"


def test_shift_and_sampler_are_measured_on_the_written_folder(parts, tmp_path) -> None:  # type: ignore
    model, clip, tokenizer, vae = parts
    tiny = AutoencoderTiny.from_pretrained(FOLDER / "vae_tiny")
    export.write_flow_folder(tmp_path / "flow", pipeline_of(model, clip, tokenizer, vae, 1.0), tiny)
    folder = FlowFolder(tmp_path / "flow")
    plain = folder.pictures([PROMPT], [0], steps=3, fast=False)
    assert plain.shape == (1, 128, 128, 3) and plain.dtype == np.uint8
    for options in ({"shift": 3.0}, {"sampler": "Heun"}, {"negatives": ["a boat"]}):
        other = folder.pictures([PROMPT], [0], steps=3, fast=False, **options)
        assert (other != plain).any(), options
    assert (folder.pictures([PROMPT], [0], steps=3, fast=False) == plain).all()


def test_training_sees_every_share_of_noise_and_pure_noise_too() -> None:
    generator = torch.Generator().manual_seed(0)
    shares = torch.cat([flow.training_shares(24, generator) for _ in range(200)])
    counts = torch.histc(shares, bins=10, min=0, max=1)
    assert counts.min() > 0.05 * len(shares)
    assert 0 < shares.min() < 0.01 and 0.99 < shares.max() <= 1
