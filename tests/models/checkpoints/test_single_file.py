"""Checkpoints of one file: the same pictures as the folder that they were made of; pickles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.checkpoints import layouts
from sdviz.plan.config import ModelSpec
from tests import families, tiny
from tests.models import hub, single

MAKE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "sd1": (tiny.stable_diffusion, "clip"),
    "sd2": (lambda folder: tiny.stable_diffusion(folder, cross_attention=1024), "open_clip"),
    "sdxl": (families.sdxl, "both"),
}
# Parameters of the published models, as their own files have them.
PARAMETERS = {
    "sd1": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sd2": {"unet": 865_910_724, "vae": 83_653_863, "text_encoder": 340_387_840},
    "sdxl": {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    },
    "kolors": {"unet": 2_579_458_820, "vae": 83_653_863},
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("kind", MAKE)
def test_a_single_file_is_the_model_that_it_was_made_of(kind: str, tmp_path: Path) -> None:
    make, text = MAKE[kind]
    folder = make(tmp_path / kind)
    file = tmp_path / f"{kind}.safetensors"
    save_file(single.checkpoint(folder, text=text), file)
    spec = ModelSpec(name="tested", id=str(file), config=str(folder))
    assert models.inspect(spec).kind == kind
    whole = single.predictions(ModelSpec(name="tested", id=str(folder)))
    # Equal weights; a matrix that lies in memory the other way round is summed in another order.
    torch.testing.assert_close(single.predictions(spec), whole, rtol=0, atol=1e-5)
    assert whole.std() > 0.01


class Trap:
    """What a hostile checkpoint would have: unpickled by Python's own reader, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def test_a_pickle_needs_consent_and_runs_nothing(tmp_path: Path) -> None:
    folder = tiny.stable_diffusion(tmp_path / "sd1")
    trap = tmp_path / "it-ran"
    file = tmp_path / "model.ckpt"
    tensors = single.checkpoint(folder, text="clip")
    torch.save({"state_dict": tensors, "callbacks": [Trap(trap)]}, file)
    asked = {"name": "tested", "id": str(file), "config": str(folder)}
    with pytest.raises(ModelError, match=r"can run any code.*model\.trust_pickle=true"):
        models.inspect(ModelSpec(**asked))
    trusted = single.predictions(ModelSpec(**asked, trust_pickle=True))
    assert torch.equal(trusted, single.predictions(ModelSpec(name="tested", id=str(folder))))
    assert not trap.exists()


@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_known_layouts_are_the_published_models(kind: str) -> None:
    files = layouts.configurations(kind, {"prediction_type": "epsilon"})
    for component, expected in PARAMETERS[kind].items():
        config = json.loads(files[f"{component}/config.json"])
        with torch.device("meta"):
            module = _component(component, config)
        assert sum(weight.numel() for weight in module.parameters()) == expected, component


def _component(name: str, config: dict[str, Any]) -> torch.nn.Module:
    if name == "unet":
        return UNet2DConditionModel.from_config(config)
    if name == "vae":
        return AutoencoderKL.from_config(config)
    projects = name == "text_encoder_2"
    made = CLIPTextModelWithProjection if projects else CLIPTextModel
    return made(CLIPTextConfig(**config))


WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
BLOCKS = {512: 16, 768: 16, 1024: 16, 2048: 70}  # cross-attentions
TO_K = "transformer_blocks.0.attn2.to_k.weight"


def _sketch(
    file: Path,
    width: int,
    *more: str,
    blocks: int = 0,
    channels: int = 4,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A file with the names of a checkpoint by which its kind is told, and `more`."""
    unet = "model.diffusion_model"
    parts = ["first_stage_model", "cond_stage_model"]
    parts += [f"conditioner.embedders.{i}" for i in range(2)]
    tensors = {
        f"{unet}.input_blocks.0.0.weight": torch.zeros(1, channels),
        f"{unet}.out.2.weight": torch.zeros(1),
        **{f"{unet}.{i}.{TO_K}": torch.zeros(1, width) for i in range(blocks or BLOCKS[width])},
        **{name: torch.zeros(1) for name in (*more, *(f"{part}.weight" for part in parts))},
    }
    save_file(tensors, file, metadata)
    return file


@pytest.mark.parametrize("width", WIDTHS)
def test_the_kind_is_read_off_the_file(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.vocabulary(tmp_path / "hub", monkeypatch)
    file = _sketch(tmp_path / "any.safetensors", width)
    info = models.inspect(ModelSpec(name="tested", id=str(file)))
    assert info.kind == WIDTHS[width]
    assert info.native_width == {"sd1": 512, "sd2": 768, "sdxl": 1024}[info.kind]
    assert info.max_tokens == 77
    assert info.check_prompt("a " * 100)  # the vocabulary is there


# Width of the text, other tensors, what its maker wrote, what the user says: what is predicted.
PREDICTIONS: list[tuple[int, list[str], str, str, str]] = [
    (768, [], "", "auto", "epsilon"),
    (768, [], "v", "auto", "v_prediction"),
    (1024, [], "", "auto", "v_prediction"),
    (1024, [], "epsilon", "auto", "epsilon"),
    (1024, [], "v", "epsilon", "epsilon"),
    (2048, [], "", "auto", "epsilon"),
    (2048, ["v_pred"], "", "auto", "v_prediction"),
]


@pytest.mark.parametrize(("width", "more", "told", "said", "expected"), PREDICTIONS)
def test_what_a_file_predicts_is_told_by_it_or_by_the_user(
    width: int,
    more: list[str],
    told: str,
    said: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.vocabulary(tmp_path / "hub", monkeypatch)
    written = {"modelspec.prediction_type": told} if told else None
    file = _sketch(tmp_path / "any.safetensors", width, *more, metadata=written)
    info = models.inspect(ModelSpec(name="tested", id=str(file), prediction=said))
    config = json.loads((info.folder / "scheduler" / "scheduler_config.json").read_text())
    assert config["prediction_type"] == expected


def test_the_vocabulary_may_be_another_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.use(tmp_path / "empty", monkeypatch)
    file = _sketch(tmp_path / "any.safetensors", 768)
    base = tiny.stable_diffusion(tmp_path / "base")
    info = models.inspect(ModelSpec(name="tested", id=str(file), base=str(base)))
    assert info.check_prompt("a " * 100) and not info.check_prompt("a cat")


def test_what_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(file: Path, words: str, **spec: Any) -> None:
        with pytest.raises(ModelError, match=words):
            models.inspect(ModelSpec(name="tested", id=str(file), **spec))

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    good = _sketch(tmp_path / "good.safetensors", 768)
    refused(good, "hf download openai/clip-vit-large-patch14 vocab.json merges.txt")
    refused(_sketch(tmp_path / "odd.safetensors", 512), "width.*512.*model.config=")
    hub.vocabulary(tmp_path / "hub", monkeypatch)
    small = _sketch(tmp_path / "small.safetensors", 2048, blocks=35)
    refused(
        small, "35 cross-attentions, but its configuration has 70; name another with model.config="
    )
    inpainting = _sketch(tmp_path / "inpainting.safetensors", 768, channels=9)
    refused(inpainting, "latents of 9 channels")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:-100])
    refused(cut, "ends too early.*download it again")
    page = tmp_path / "page.safetensors"
    page.write_text("<!DOCTYPE html><p>Not found</p>")
    refused(page, "not an intact .safetensors file")
    adapter = tmp_path / "adapter.safetensors"
    save_file({"unet.a.lora_A.weight": torch.zeros(1)}, adapter)
    refused(adapter, r"looks like a LoRA \(lora= takes it\)")
    other = tmp_path / "flux.safetensors"
    save_file({"double_blocks.0.img_attn.weight": torch.zeros(1)}, other)
    refused(other, "looks like a part of a Flux.*folders in diffusers' layout")
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    refused(text, "neither a .safetensors nor a .ckpt")
    pickle = tmp_path / "broken.ckpt"
    pickle.write_bytes(b"PK\x03\x04 not a zip file at all")
    refused(pickle, "not an intact checkpoint", trust_pickle=True)
