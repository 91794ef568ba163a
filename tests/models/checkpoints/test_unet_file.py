"""Single files that have a UNet and little else: the rest is lent by `model.base`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.addons import checks
from sdviz.plan.config import ModelSpec
from tests import families, tiny
from tests.models import hub, loras, single

MAKE: dict[str, Callable[[Path], Path]] = {
    "sd1": tiny.stable_diffusion,
    "sd2": lambda folder: tiny.stable_diffusion(
        folder, prediction="v_prediction", cross_attention=1024
    ),
    "sdxl": families.sdxl,
    "kolors": families.kolors,
}
# The UNet by diffusers' names, as trainers and distillers publish it, or by CompVis's, as ComfyUI
# saves it, alone or with the VAE.
FORMS: dict[str, Callable[[Path], single.Tensors]] = {
    "diffusers": lambda folder: single.weights(folder / "unet"),
    "compvis": single.unet,
    "with-vae": lambda folder: single.checkpoint(folder, text="none"),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hub.use(tmp_path / "hub", monkeypatch)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("bases")

    def folder(kind: str) -> Path:
        return root / kind if (root / kind).exists() else MAKE[kind](root / kind)

    return folder


def saved(folder: Path, file: Path, form: str = "diffusers") -> Path:
    save_file(FORMS[form](folder), file)
    return file


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", MAKE)
def test_a_unet_with_what_its_base_lends_is_the_model_that_it_was_made_of(
    kind: str, form: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = folders(kind)
    base = Path(shutil.copytree(folder, tmp_path / "base"))
    for file in (base / "unet").glob("*.safetensors"):
        file.unlink()  # which is not needed
    spec = ModelSpec(name="t", id=str(saved(folder, tmp_path / "unet.safetensors", form)),
                     base=str(base))  # fmt: skip
    info = models.inspect(spec)
    assert info.kind == kind
    assert set(info.parts) == {
        "vae", "text_encoder", *(["text_encoder_2"] if kind == "sdxl" else [])
    } - ({"vae"} if form == "with-vae" else set())  # fmt: skip
    assert info.check_prompt("a cat " * 200)  # the vocabulary is there
    whole = single.predictions(ModelSpec(name="t", id=str(folder)))
    torch.testing.assert_close(single.predictions(spec), whole, rtol=0, atol=1e-5)
    assert whole.std() > 0.01


def test_a_base_of_half_precision_files_will_do(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    """As Kolors was published."""
    folder = folders("kolors")
    base = Path(shutil.copytree(folder, tmp_path / "base"))
    for file in [*base.glob("vae/*.safetensors"), *base.glob("text_encoder/*.safetensors")]:
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    spec = ModelSpec(name="t", id=str(saved(folder, tmp_path / "a.safetensors")), base=str(base))
    whole = single.predictions(ModelSpec(name="t", id=str(folder)))
    torch.testing.assert_close(single.predictions(spec), whole, rtol=0, atol=1e-5)


def test_another_base_makes_other_cells(folders: Callable[[str], Path], tmp_path: Path) -> None:
    folder = folders("kolors")
    file = saved(folder, tmp_path / "a.safetensors")
    base = Path(shutil.copytree(folder, tmp_path / "base"))
    known = models.inspect(ModelSpec(name="t", id=str(file), base=str(folder))).identity
    assert models.inspect(ModelSpec(name="t", id=str(file), base=str(base))).identity == known
    shutil.copytree(folders("sdxl") / "vae", base / "vae", dirs_exist_ok=True)
    assert models.inspect(ModelSpec(name="t", id=str(file), base=str(base))).identity != known


def test_what_is_missing_or_does_not_fit_is_told(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    def refused(file: Path, words: str, **spec: Any) -> None:
        with pytest.raises(ModelError, match=words):
            models.inspect(ModelSpec(name="t", id=str(file), **spec))

    kolors = saved(folders("kolors"), tmp_path / "kolors.safetensors")
    refused(
        kolors,
        r"is a Kolors and lacks vae, text_encoder, tokenizer, scheduler; model\.base=<folder or "
        r"hub id> .*hf download Kwai-Kolors/Kolors-diffusers .*text_encoder/\*[^!]*$",
    )
    refused(kolors, "so does model.base=", base=str(tmp_path))
    refused(kolors, "StableDiffusionXLPipeline, and t is a Kolors", base=str(folders("sdxl")))
    wide = saved(folders("sd2"), tmp_path / "sd2.safetensors")
    refused(wide, "texts of width 1024, but .* has 32; .*model.base=", base=str(folders("sd1")))
    packed = {
        name: tensor.flatten() for name, tensor in single.weights(folders("sd2") / "unet").items()
    }
    save_file(packed, tmp_path / "packed.safetensors")
    refused(
        tmp_path / "packed.safetensors",
        "packed numbers.* use one in bf16",
        base=str(folders("sd2")),
    )
    sketch = {
        "conv_in.weight": torch.zeros(320, 4, 3, 3),
        "conv_out.weight": torch.zeros(4, 320, 3, 3),
        **{f"{i}.attn2.to_k.weight": torch.zeros(1, 2048) for i in range(70)},
    }
    save_file(sketch, tmp_path / "turbo.safetensors")
    refused(
        tmp_path / "turbo.safetensors",
        "is a Stable Diffusion XL and lacks vae, text_encoder, text_encoder_2, tokenizer, "
        "tokenizer_2; .*stabilityai/stable-diffusion-xl-base-1.0",
    )


def test_a_unet_of_another_build_is_not_taken_for_its_configuration(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = folders("sd1")
    tensors = single.weights(folder / "unet")
    file = tmp_path / "a.safetensors"
    save_file({**tensors, "mid_block.more.weight": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match=r"mid_block\.more\.weight.*model\.config="):
        models.load(ModelSpec(name="t", id=str(file), base=str(folder)))
    twice = {name.replace("mid_block", "up_blocks.9"): tensor.clone()
             for name, tensor in tensors.items() if "mid_block" in name}  # fmt: skip
    save_file({**tensors, **twice}, file)
    with pytest.raises(ModelError, match=r"5 cross-attentions.* has 4; .*model\.config="):
        models.inspect(ModelSpec(name="t", id=str(file), base=str(folder)))


def test_a_lora_fits_a_unet_as_it_fits_the_model(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = folders("sdxl")
    spec = ModelSpec(name="t", id=str(saved(folder, tmp_path / "a.safetensors")), base=str(folder))
    info = models.inspect(spec)
    layers = loras.pairs(folder)
    checks.check_lora(str(loras.kohya(layers, tmp_path)), spec, info)
    wide = {name: (down.repeat(1, 2), up) for name, (down, up) in layers.items()
            if "attn1" in name}  # fmt: skip
    with pytest.raises(ModelError, match="does not fit"):
        checks.check_lora(str(loras.kohya(wide, tmp_path)), spec, info)
