"""Frames: decoders, their choice, and what the linear one knows of a VAE."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers.image_processor import VaeImageProcessor

from sdviz import models
from sdviz.engine import preview
from sdviz.errors import ConfigError
from sdviz.models.denoiser import Denoiser
from sdviz.plan.config import ModelSpec, PreviewConfig


@pytest.fixture(scope="module")
def denoiser(tiny_model: Path) -> Denoiser:
    return models.load(ModelSpec(id=str(tiny_model)))


class LinearVAE:
    """A VAE whose decoder is linear in every latent pixel, eight pixels wide each."""

    config = SimpleNamespace(block_out_channels=(1, 1, 1, 1), scaling_factor=0.5)
    dtype = torch.float32

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.weights = torch.randn(4, 3, generator=generator) * 0.2
        self.bias = torch.tensor([0.1, -0.2, 0.3])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        colours = torch.einsum("nchw,cd->ndhw", latents, self.weights)
        return F.interpolate(colours + self.bias[:, None, None], scale_factor=8.0, mode="nearest")

    def encode(self, images: torch.Tensor) -> Any:
        small = F.avg_pool2d(images, 8)
        latents = F.conv2d(
            small, torch.randn(4, 3, 1, 1, generator=torch.Generator().manual_seed(4))
        )
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))


def test_the_linear_decoder_is_fitted_to_the_models_own_vae() -> None:
    vae = LinearVAE()
    fitted = preview.linear_rgb(
        SimpleNamespace(  # type: ignore[arg-type]
            vae=vae, device="cpu", decode=vae.decode, scaled=lambda encoded: encoded * 0.5
        )
    )
    # Latents such as the VAE itself makes; of others it has told nothing.
    latents = vae.encode(torch.rand(2, 3, 64, 64)).latent_dist.mode() * 0.5
    smooth = latents.mean((2, 3), keepdim=True).expand(-1, -1, 8, 8)
    assert torch.allclose(fitted(smooth), vae.decode(smooth), atol=1e-4)


@pytest.mark.parametrize("decoder", ["vae", "tiny", "rgb"])
def test_every_decoder_gives_pictures_of_the_final_size(decoder: str, denoiser: Denoiser) -> None:
    previewer = preview.Previewer(denoiser, PreviewConfig(decoder=decoder))
    pictures = previewer.frames(torch.randn(11, 4, 8, 12))
    assert len(pictures) == 11
    assert all(p.shape == (64, 96, 3) and p.dtype == np.uint8 for p in pictures)


def test_previews_by_the_vae_are_close_to_the_final_decoding(denoiser: Denoiser) -> None:
    latents = torch.randn(2, 4, 8, 8)
    shown = preview.Previewer(denoiser, PreviewConfig(decoder="vae")).frames(latents)
    exact = preview.to_pixels(denoiser.decode(latents))
    for a, b in zip(shown, exact, strict=True):
        assert np.abs(a.astype(int) - b).mean() < 1.5  # bfloat16 has eight bits


def test_pixels_are_rounded_as_diffusers_rounds_them() -> None:
    images = torch.rand(2, 3, 16, 16) * 2.4 - 1.2
    theirs = VaeImageProcessor().postprocess(images, output_type="pil")
    for ours, reference in zip(preview.to_pixels(images), theirs, strict=True):
        assert (ours == np.asarray(reference)).all()


def test_a_tiny_decoder_that_is_not_there_is_refused(denoiser: Denoiser) -> None:
    without = SimpleNamespace(tiny_vae=None, device="cpu")
    with pytest.raises(ConfigError, match=r"preview\.decoder=tiny"):
        preview.Previewer(without, PreviewConfig(decoder="tiny"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("a_step", "expected"), [(1.0, "vae"), (0.2, "tiny"), (0.001, "rgb")])
def test_auto_takes_the_best_that_costs_less_than_a_tenth(
    a_step: float, expected: str, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = {"vae": 0.1, "tiny": 0.01, "rgb": 0.0001}
    monkeypatch.setattr(preview, "_decoder", lambda name, denoiser: name)
    monkeypatch.setattr(preview, "_seconds_a_frame", lambda name, *_: costs[name])
    previewer = preview.Previewer(denoiser, PreviewConfig(decoder="auto"))
    tried = previewer.choose(torch.zeros(1, 4, 8, 8), seconds_a_step=a_step)
    assert previewer.chosen == expected
    assert tried[expected] == costs[expected]


def test_memory_that_runs_out_decodes_fewer_at_once() -> None:
    sizes = []

    def decode(latents: torch.Tensor) -> torch.Tensor:
        sizes.append(len(latents))
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return latents * 2

    latents = torch.arange(5.0).reshape(5, 1, 1, 1)
    assert torch.equal(preview.in_chunks(decode, latents), latents * 2)
    assert sizes == [5, 2, 2, 1]
