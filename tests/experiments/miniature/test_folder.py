"""The shipped miniature: loads with plain diffusers, is small, and does what its words say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[3] / "sdviz" / "miniature"

pytestmark = pytest.mark.skipif(
    not (FOLDER / "model_index.json").exists(), reason="the miniature is not in this checkout"
)


@pytest.fixture(scope="module")
def folder():  # type: ignore[no-untyped-def]
    from experiments.miniature.folder import Folder

    return Folder(FOLDER)


def test_the_folder_is_small_and_has_only_data() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20_000_000
    kinds = {path.suffix for path in files}
    assert kinds <= {".json", ".safetensors", ".txt", ".md", ".png", ".webp"}, kinds


def test_weights_are_float16() -> None:
    from safetensors import safe_open

    for path in FOLDER.rglob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                assert weights.get_slice(name).get_dtype() == "F16" or "position_ids" in name


def test_the_text_encoder_is_clips_text_tower(folder) -> None:  # type: ignore[no-untyped-def]
    own = folder.pipeline.text_encoder.state_dict()
    tower = folder.clip.text_model.state_dict()
    assert own.keys() == tower.keys()
    assert all(torch.equal(own[name], tower[name]) for name in own)


def test_the_plain_pipeline_makes_an_image_that_is_not_noise(folder) -> None:  # type: ignore
    image = folder.pipeline(
        "a red pyramid in the desert",
        num_inference_steps=10,
        output_type="np",
        generator=torch.Generator().manual_seed(0),
    ).images[0]
    assert image.shape == (128, 128, 3)
    assert image.std() > 0.08, "flat"
    assert np.abs(np.diff(image, axis=1)).mean() < 0.05, "noise"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_it_runs_in_other_precisions(dtype: torch.dtype) -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(FOLDER).to(dtype)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a blue house in the snow", num_inference_steps=2, output_type="np").images[0]
    assert np.isfinite(image).all()


def test_red_and_blue_follow_the_word_at_equal_seeds(folder) -> None:  # type: ignore
    from experiments.miniature.measure import redness

    values = redness(folder, count=4, steps=8)
    assert values["red"] > values["blue"] + 3, values


def test_clip_puts_the_right_caption_first(folder) -> None:  # type: ignore[no-untyped-def]
    from experiments.miniature.measure import ranking

    assert ranking(folder, count=50)["first before nine others"] >= 0.9


def test_the_tiny_decoder_takes_the_unets_latents(folder) -> None:  # type: ignore[no-untyped-def]
    from diffusers import AutoencoderTiny

    from experiments.miniature.autoencoder import psnr, to_pictures, to_tensor
    from experiments.miniature.folder import prompt_scenes
    from experiments.miniature.paint import draw

    pictures = np.stack([draw(scene) for scene in prompt_scenes(4, "tiny")])
    tiny = AutoencoderTiny.from_pretrained(FOLDER / "vae_tiny")
    vae = folder.pipeline.vae
    with torch.no_grad():
        latents = vae.encode(to_tensor(pictures)).latent_dist.mean * vae.config.scaling_factor
        made = to_pictures(tiny.decode(latents).sample)
    assert 0.6 < latents.std() < 1.5
    assert psnr(made, pictures) > 18


def test_the_record_tells_how_it_was_made() -> None:
    record = json.loads((FOLDER / "training.json").read_text("utf-8"))
    assert record["format"] == 1
    assert {"clip", "autoencoder", "tiny", "unet"} <= record["stages"].keys()
    assert "/" not in json.dumps(record["settings"]), "a path got into the record"


def test_prompts_to_measure_with_are_complete() -> None:
    from experiments.miniature.folder import prompt_scenes

    for held_out in (True, False):
        for scene in prompt_scenes(20, "check", held_out):
            assert scene.held_out is held_out and scene.count > 0 and scene.light != "none"
            assert replace(scene, style="photograph") == scene
