"""What no cell could be computed with is refused before it is loaded, with the true reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.addons import checks
from sdviz.models.files import diffusers_source
from sdviz.plan.config import ModelSpec
from tests import tiny
from tests.engine.sweeping import cells_of, pictures, sweep
from tests.models import single
from tests.parity.test_families import most_different


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def spec_of(folder: Path, **more: Any) -> ModelSpec:
    return ModelSpec(name="tested", id=str(folder), **more)


def edited(file: Path, **changed: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("StableDiffusionInstructPix2PixPipeline", "it takes a picture (image)"),
        ("StableDiffusionXLInstructPix2PixPipeline", "it takes a picture (image)"),
        ("QwenImageEditPipeline", "it takes a picture (image)"),
        ("BriaFiboEditPipeline", "it takes a picture (image)"),
        ("StableDiffusionAdapterPipeline", "it takes a picture (image)"),
        ("StableCascadeCombinedPipeline", "is two pipelines, one after the other"),
        ("KandinskyV22CombinedPipeline", "is two pipelines, one after the other"),
        ("StableCascadePriorPipeline", "makes embeddings for another pipeline"),
        ("OnnxStableDiffusionPipeline", "runs models in ONNX's format"),
        ("StableDiffusionLDM3DPipeline", "makes a depth map"),
        ("StableDiffusionAttendAndExcitePipeline", "needs token_indices besides the prompt"),
    ],
)
def test_pipelines_that_no_prompt_alone_runs(name: str, told: str) -> None:
    assert told in diffusers_source.why_not(name)


def test_pipelines_that_do_without_their_picture_are_taken() -> None:
    names = ("FluxKontextPipeline", "Flux2Pipeline", "OmniGenPipeline", "HunyuanImagePipeline")
    for name in names:
        assert diffusers_source.why_not(name) == ""


def nine_channels(folder: Path) -> None:
    """As an inpainting model has it, under the plain pipeline's name."""
    config = UNet2DConditionModel.load_config(folder / "unet")
    UNet2DConditionModel.from_config({**config, "in_channels": 9}).save_pretrained(folder / "unet")


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "nine channels": (nine_channels, "its UNet takes latents of 9 channels.*picture"),
    "a learned variance": (
        lambda m: edited(m / "unet" / "config.json", out_channels=8), "takes 4 channels and gives 8"
    ),
    "class labels": (
        lambda m: edited(m / "unet" / "config.json", num_class_embeds=1000), "needs class labels"
    ),
    "flow matching on a UNet": (
        lambda m: edited(
            m / "scheduler" / "scheduler_config.json", _class_name="FlowMatchEulerDiscreteScheduler"
        ),
        "trained by flow matching",
    ),
    "a list as class name": (
        lambda m: edited(m / "model_index.json", _class_name=["my_code", "MyPipeline"]),
        "names pipeline code of its own",
    ),
    "a number as class name": (
        lambda m: edited(m / "model_index.json", _class_name=7), "names pipeline code of its own"
    ),
    "levels that are no list": (
        lambda m: edited(m / "vae" / "config.json", block_out_channels=7), "cannot be used"
    ),
    "a size that is none": (
        lambda m: edited(m / "unet" / "config.json", sample_size={"a": 1}), "cannot be used"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_folders_that_no_pipeline_runs(fault: str, copy: Path) -> None:
    change, told = BROKEN[fault]
    change(copy)
    with pytest.raises(ModelError, match=told):
        models.inspect(spec_of(copy))


def half(folder: Path, component: str, name: str) -> None:
    """The component's weights under a variant's name alone."""
    (file,) = (folder / component).glob("*.safetensors")
    file.rename(file.with_name(name))


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("unet", "diffusion_pytorch_model.fp16.safetensors"),
        ("text_encoder", "model.fp16.safetensors"),
        ("text_encoder", "model.bf16-00001-of-00001.safetensors"),
    ],
)
def test_weights_of_a_variant_alone_are_told(component: str, name: str, copy: Path) -> None:
    half(copy, component, name)
    variant = "bf16" if "bf16" in name else "fp16"
    with pytest.raises(ModelError, match=f"{component} has only weights of the variant {variant}"):
        models.inspect(spec_of(copy))
    assert models.inspect(spec_of(copy, variant=variant)).kind == "sd1"


def test_a_variant_of_some_components_runs(copy: Path, tiny_model: Path) -> None:
    half(copy, "unet", "diffusion_pytorch_model.fp16.safetensors")
    made = pictures(sweep(cells_of({}), spec=spec_of(copy, variant="fp16")))
    assert most_different(made, pictures(sweep(cells_of({}), folder=tiny_model))) == 0


def test_a_variant_that_is_nowhere_is_told(copy: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.variant=fp16: no component"):
        models.inspect(spec_of(copy, variant="fp16"))


def pickled(folder: Path, component: str) -> None:
    """The component's weights as diffusers and transformers saved them before safetensors."""
    (file,) = (folder / component).glob("*.safetensors")
    name = "pytorch_model.bin" if component == "text_encoder" else f"{file.stem}.bin"
    torch.save(load_file(file), file.with_name(name))
    file.unlink()


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
def test_pickles_in_a_folder_need_consent(component: str, copy: Path, tiny_model: Path) -> None:
    pickled(copy, component)
    with pytest.raises(ModelError, match=r"\.bin: .*pickle.*model\.trust_pickle=true"):
        models.inspect(spec_of(copy))
    made = pictures(sweep(cells_of({}), spec=spec_of(copy, trust_pickle=True)))
    assert most_different(made, pictures(sweep(cells_of({}), folder=tiny_model))) == 0


def test_a_vae_in_a_pickle(tiny_model: Path, tmp_path: Path) -> None:
    """Of old, VAEs came as .vae.pt files, with CompVis's names; and in folders."""
    torch.manual_seed(9)
    tiny.vae().save_pretrained(tmp_path / "folder")
    file = tmp_path / "other.vae.pt"
    torch.save({"state_dict": single.vae(tmp_path / "folder")}, file)
    for name in (file, tmp_path / "folder"):
        if name.is_dir():
            pickled(tmp_path, "folder")
        untrusted, trusting = spec_of(tiny_model), spec_of(tiny_model, trust_pickle=True)
        with pytest.raises(ModelError, match=r"model\.trust_pickle=true"):
            checks.check_vae(str(name), untrusted, models.inspect(untrusted))
        checks.check_vae(str(name), trusting, models.inspect(trusting))
        cells = cells_of({"vae": str(name)})
        made = pictures(sweep(cells, spec=trusting))
        pipeline = StableDiffusionPipeline.from_pretrained(tiny_model, safety_checker=None)
        pipeline.vae = AutoencoderKL.from_pretrained(tmp_path / "folder")
        pipeline.set_progress_bar_config(disable=True)
        from diffusers import EulerDiscreteScheduler

        from tests.engine.sweeping import by_pipeline

        pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
        expected = np.asarray(by_pipeline(pipeline, cells[0].recipe))
        assert most_different(made, {0: expected}) <= 1


def test_pickles_of_a_base_and_of_a_safety_checker_need_consent(
    tiny_model: Path, copy: Path, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    save_file(single.unet(tiny_model), tmp_path / "unet.safetensors")
    base = spec_of(tmp_path / "unet.safetensors", base=str(copy), config=str(copy))
    assert models.inspect(base).kind == "sd1"
    pickled(copy, "vae")
    with pytest.raises(ModelError, match=r"model\.trust_pickle=true"):
        models.inspect(base)
    checker = tmp_path / "checker"
    checker.mkdir()
    (checker / "config.json").write_text("{}")
    (checker / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(ModelError, match=r"model\.safety_checker=.*trust_pickle=true"):
        checks.find_checker(spec_of(tiny_model, safety_checker=str(checker)))


@pytest.mark.parametrize("component", ["transformer", "vae", "text_encoder"])
def test_a_pipeline_whose_weights_are_not_all_there_is_refused(
    component: str, tmp_path: Path
) -> None:
    """The libraries would go on with random numbers."""
    from safetensors.torch import save_file

    from tests import families

    folder = families.sd3(tmp_path / "sd3")
    (file,) = (folder / component).glob("*.safetensors")
    tensors = load_file(file)
    tensors.pop(sorted(tensors)[-1])
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks .* download the model again"):
        models.load(spec_of(folder))


def test_a_lora_on_a_pipeline_that_takes_none_is_refused(tmp_path: Path) -> None:
    assert diffusers_source.takes_loras("StableDiffusion3Pipeline")
    assert diffusers_source.takes_loras("FluxKontextPipeline")
    assert not diffusers_source.takes_loras("PixArtSigmaPipeline")
    assert not diffusers_source.takes_loras("HunyuanDiTPipeline")
