"""Every refusal by the real command: a clear error, exit status 2, no traceback, nothing written.

Too little memory is in test_room.
"""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from diffusers import pipelines

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.files import diffusers_source
from sdviz.plan.config import ModelSpec
from tests import families
from tests.commands.sweep.test_sweep import sdviz
from tests.models import forms, loras


def copied(model: Path, folder: Path, name: str = "StableDiffusionPipeline") -> Path:
    """The model under the name of another pipeline."""
    shutil.copytree(model, folder / "copy")
    index = folder / "copy" / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "_class_name": name}))
    return folder / "copy"


def file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def bomb(path: Path) -> Path:
    """A PNG of 30,000 x 30,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(30_001)))]
    return file(path, b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))


def of_another_model(model: Path, folder: Path) -> Path:
    """A LoRA whose layers are of other widths than those of `model`."""
    wide = {name: (down.repeat(1, 2), up) for name, (down, up) in loras.pairs(model).items()}
    return loras.kohya(wide, folder)


def without_unet(model: Path, folder: Path) -> Path:
    made = copied(model, folder)
    (made / "unet" / "config.json").unlink()
    return made


def no_vae(model: Path, folder: Path) -> Path:
    families.vae(16).save_pretrained(folder / "vae")
    return folder / "vae"


def flux_alone(folder: Path) -> Path:
    """A Flux in one file, without text encoders and VAE."""
    made = forms.MAKE["schnell"](folder / "flux")
    return forms.saved(forms.FORMS["flux1-schnell"], made, folder / "flux.safetensors")


# What is typed (model and folder given), and what is told.
FAULTS: dict[str, tuple[Callable[[Path, Path], list[str]], str]] = {
    "a checkpoint that is none": (
        lambda m, t: [f"model={file(t / 'a.safetensors', b'<html>Not found</html>')}"],
        "not an intact .safetensors file",
    ),
    "a folder without its configuration": (
        lambda m, t: [f"model={without_unet(m, t)}"],
        "is not a model in diffusers' layout",
    ),
    "a checkpoint without its text encoders": (
        lambda m, t: [f"model={flux_alone(t)}"],
        "lacks vae, text_encoder, tokenizer, text_encoder_2, tokenizer_2; model.base=",
    ),
    "a base of another family": (
        lambda m, t: [f"model={flux_alone(t)}", f"model.base={m}"],
        "holds a StableDiffusionPipeline, and",
    ),
    "a pickle without consent": (
        lambda m, t: [f"model={file(t / 'a.ckpt', b'PK')}"],
        "a pickle can run any code",
    ),
    "a pickled LoRA without consent": (
        lambda m, t: [f"model={m}", f"lora={loras.lightning(loras.pairs(m), t)}"],
        "model.trust_pickle=true",
    ),
    "a LoRA that does not fit": (
        lambda m, t: [f"model={m}", f"lora={of_another_model(m, t)}"],
        "text width of 64, and that of",
    ),
    "a LoRA that is none": (
        lambda m, t: [f"model={m}", f"lora={m / 'unet/diffusion_pytorch_model.safetensors'}"],
        "contains no LoRA tensors",
    ),
    "a VAE that does not fit": (
        lambda m, t: [f"model={m}", f"vae={no_vae(m, t)}"],
        "latents of 16 channels",
    ),
    "a pipeline that diffusers has not got": (
        lambda m, t: [f"model={copied(m, t, 'DreamWeaverPipeline')}"],
        "has no DreamWeaverPipeline",
    ),
    "a pipeline for another task": (
        lambda m, t: [f"model={copied(m, t, 'StableDiffusionInpaintPipeline')}"],
        "StableDiffusionInpaintPipeline is not a text-to-image pipeline: it takes an image and a "
        "mask",
    ),
    "a model that is nowhere": (
        lambda m, t: ["model=nobody/nothing"],
        "hf download nobody/nothing",
    ),
    "an init image that is none": (
        lambda m, t: [f"model={m}", f"init={file(t / 'a.png', b'no picture')}"],
        "cannot be read as an image",
    ),
    "an init image that would fill the memory": (
        lambda m, t: [f"model={m}", f"init={bomb(t / 'a.png')}"],
        "more than 64,000,000",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_refusal_writes_nothing(fault: str, tiny_model: Path, tmp_path: Path) -> None:
    make, told = FAULTS[fault]
    typed = make(tiny_model, tmp_path)
    result = sdviz(
        *typed, f"outputs={tmp_path / 'out'}", "visdom=off", "device=cpu", cwd=tmp_path, torch=False
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: ") and told in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "names no pipeline"),
        ("StableDiffusionImg2ImgPipeline", "it takes an image to start from"),
        ("StableDiffusionXLControlNetPipeline", "an image that guides it"),
        ("CogVideoXPipeline", "it makes videos"),
        ("DDPMPipeline", "it takes no prompt"),
    ],
)
def test_other_tasks_are_told_by_what_the_pipeline_takes(name: str, told: str) -> None:
    assert told in diffusers_source.why_not(name)


def test_what_draws_from_texts_is_taken() -> None:
    """Those of conf/model/, and what a user may have besides."""
    names = ("StableDiffusion3", "Flux", "PixArtAlpha", "PixArtSigma", "HunyuanDiT", "AuraFlow",
             "LatentConsistencyModel", "StableDiffusion", "KolorsPAG", "Sana")  # fmt: skip
    for name in names:
        assert hasattr(pipelines, f"{name}Pipeline")
        assert diffusers_source.why_not(f"{name}Pipeline") == ""


def test_a_kind_that_is_given_is_taken_at_its_word(tiny_model: Path, tmp_path: Path) -> None:
    """A model of Stable Diffusion's parts, saved as something else."""
    folder = copied(tiny_model, tmp_path, "MyOwnPipeline")
    with pytest.raises(ModelError, match="has no MyOwnPipeline"):
        models.inspect(ModelSpec(name="t", id=str(folder)))
    assert models.inspect(ModelSpec(name="t", id=str(folder), kind="sd1")).is_batched
