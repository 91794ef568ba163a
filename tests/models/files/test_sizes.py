"""Native sizes, and what widths and heights must be multiples of, as the pipelines have them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from transformers import T5Config, T5EncoderModel

from sdviz import models
from sdviz.errors import ConfigErrors
from sdviz.models.files import sizes
from sdviz.plan.config import ModelSpec, PreviewConfig
from tests import families, tiny
from tests.engine import sweeping
from tests.engine.sweeping import cells_of, pictures, sweep
from tests.parity.test_families import most_different
from tests.reading import reader


def encoder() -> tuple[Any, Any]:
    """A T5 of a few words, and its tokenizer."""
    pieces = families.t5_tokenizer()
    t5 = T5Config(vocab_size=len(pieces), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return T5EncoderModel(t5), pieces


def chroma_transformer() -> Any:
    return diffusers.ChromaTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, axes_dims_rope=(4, 4, 8),
        approximator_num_channels=8, approximator_hidden_dim=32, approximator_layers=1,
    )  # fmt: skip


def chroma(folder: Path) -> Path:
    torch.manual_seed(7)
    text_encoder, tokenizer = encoder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of diffusers, about its own modules
        transformer = chroma_transformer()
    diffusers.ChromaPipeline(
        transformer=transformer,
        vae=tiny.vae(scaling_factor=0.36, shift_factor=0.11),
        text_encoder=text_encoder, tokenizer=tokenizer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def pixart(folder: Path) -> Path:
    """A PixArt that was trained at 256 pixels, in sizes of several aspect ratios."""
    torch.manual_seed(8)
    text_encoder, tokenizer = encoder()
    diffusers.PixArtAlphaPipeline(
        transformer=diffusers.PixArtTransformer2DModel(
            sample_size=32, num_layers=1, patch_size=2, attention_head_dim=8,
            num_attention_heads=3, caption_channels=32, in_channels=4, cross_attention_dim=24,
            out_channels=8, num_embeds_ada_norm=1000, use_additional_conditions=False,
        ),
        vae=tiny.vae(), text_encoder=text_encoder, tokenizer=tokenizer,
        scheduler=diffusers.DDIMScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_packed_latents_take_multiples_of_two_latents(tmp_path: Path) -> None:
    folder = chroma(tmp_path / "chroma")
    info = models.inspect(ModelSpec(name="tested", id=str(folder)))
    assert (info.native_width, info.native_height, info.multiple) == (1024, 1024, 16)
    with pytest.raises(ConfigErrors, match="needs a multiple of 16"):
        reader(folder, tmp_path)(width=72, height=64, reference=0)


@pytest.mark.parametrize("size", [(256, 256), (256, 192)])
def test_frames_have_the_size_of_the_picture(size: tuple[int, int], tmp_path: Path) -> None:
    """The pipeline draws in a size that the model was trained on, and scales the picture."""
    folder = pixart(tmp_path / "pixart")
    width, height = size
    cells = cells_of({"width": width, "height": height, "sampler": "Native", "steps": 2})
    events = sweep(cells, folder=folder, preview=PreviewConfig(decoder="vae"))
    made = pictures(events)
    pipeline = diffusers.PixArtAlphaPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    expected = np.asarray(sweeping.by_pipeline(pipeline, cells[0].recipe))
    assert most_different(made, {0: expected}) <= 1
    frames = sweeping.frames(events, 0)
    assert [frame.pixels.shape for frame in frames if frame.pixels is not None] == [
        (height, width, 3), (height, width, 3),
    ]  # fmt: skip


def folder_of(place: Path, **configs: dict[str, Any]) -> Path:
    for component, config in configs.items():
        (place / component).mkdir(parents=True)
        (place / component / "config.json").write_text(json.dumps(config))
    return place


@pytest.mark.parametrize(
    ("pipeline", "vae", "denoiser", "expected"),
    [
        # Sana 1024: an AutoencoderDC makes latents 32 times smaller.
        ("SanaPipeline", {"vae": {"encoder_block_out_channels": [1] * 6}},
         {"sample_size": 32, "patch_size": 1}, (1024, 32)),
        ("OvisImagePipeline", {"vae": {"block_out_channels": [1] * 4}}, {"patch_size": 1},
         (1024, 16)),
        ("BriaPipeline", {"vae": {"block_out_channels": [1] * 4}}, {"patch_size": 1}, (1024, 16)),
        ("QwenImagePipeline", {"vae": {"dim_mult": [1, 2, 4, 4]}}, {"patch_size": 2}, (1024, 16)),
        ("Kandinsky3Pipeline", {"movq": {"block_out_channels": [1] * 4}}, {"sample_size": 128},
         (1024, 8)),
        ("Kandinsky5T2IPipeline", {"vae": {"block_out_channels": [1] * 4}},
         {"patch_size": [1, 2, 2], "sample_size": 64}, (512, 16)),
        ("IFPipeline", {}, {"sample_size": 64}, (64, 1)),
        ("PixArtSigmaPipeline", {"vae": {"block_out_channels": [1] * 4}},
         {"sample_size": [64, 64], "patch_size": 2}, (512, 16)),
    ],
)  # fmt: skip
def test_sizes_of_published_configurations(
    pipeline: str, vae: dict[str, Any], denoiser: dict[str, Any], expected: tuple[int, int],
    tmp_path: Path,
) -> None:  # fmt: skip
    found = sizes.of(folder_of(tmp_path / "model", **vae), pipeline, denoiser)
    assert (found.width, found.multiple) == expected
    assert found.width == found.height
