"""Alphas, formats and kinds of LoRAs: against merging by hand, or refused before a model is loaded.

The merged model is what the formula says: W + alpha / rank * up @ down (Hu et al. 2021).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.addons import checks, lora_tensors
from sdviz.plan.config import ModelSpec
from tests import families, tiny
from tests.engine import sweeping
from tests.engine.sweeping import cells_of, pictures, sweep
from tests.models import loras
from tests.parity.test_families import most_different

Tensors = dict[str, torch.Tensor]
Layer = tuple[torch.Tensor, torch.Tensor, float]  # down, up, alpha
RANKS = (2, 4, 4, 8)


def layers(folder: Path, alphas: Callable[[int, int], float]) -> dict[str, Layer]:
    """Pairs of several ranks for each attention layer of the UNet; `alphas` by (number, rank)."""
    generator = torch.Generator().manual_seed(7)
    found = {}
    for i, (name, (down, up)) in enumerate(loras.pairs(folder).items()):
        rank = RANKS[i % len(RANKS)]
        found[name] = (
            torch.randn(rank, down.shape[1], generator=generator) * 0.3,
            torch.randn(up.shape[0], rank, generator=generator) * 0.3,
            alphas(i, rank),
        )
    return found


def kohyas(found: dict[str, Layer], file: Path) -> Path:
    tensors = {}
    for name, (down, up, alpha) in found.items():
        key = "lora_unet_" + name.replace(".", "_")
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up,
                    f"{key}.alpha": torch.tensor(alpha)}  # fmt: skip
    save_file(tensors, file)
    return file


def merged(folder: Path, found: dict[str, Layer], place: Path, scale: float = 1.0) -> Path:
    """The model with the layers added to its weights."""
    made = Path(shutil.copytree(folder, place))
    file = made / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    for name, (down, up, alpha) in found.items():
        weights[f"{name}.weight"] += scale * alpha / len(down) * up @ down
    save_file(weights, file, metadata={"format": "pt"})
    return made


def differs(folder: Path, other: Path, lora: Path, scale: float = 1.0, **more: Any) -> int:
    """How far the model with the LoRA is from the other model."""
    worn = cells_of({"lora": str(lora), "lora_scale": scale})
    spec = ModelSpec(name="tested", id=str(folder), **more)
    checks.check_lora(str(lora), spec, models.inspect(spec))
    return most_different(
        pictures(sweep(worn, spec=spec)), pictures(sweep(cells_of({}), folder=other))
    )


MAKE = {"sd1": tiny.stable_diffusion, "sdxl": families.sdxl}
ALPHAS: dict[str, Callable[[int, int], float]] = {
    "of the rank": lambda i, rank: float(rank),
    "1 to 64": lambda i, rank: float(2 ** (i % 7)) / 4,
    "half the rank": lambda i, rank: rank / 2,
}


@pytest.fixture(scope="module", params=MAKE)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKE[request.param](tmp_path_factory.mktemp("kinds") / request.param)


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.stable_diffusion(tmp_path_factory.mktemp("kinds") / "sd1")


@pytest.mark.parametrize("alphas", ALPHAS)
def test_every_layer_has_its_alpha(alphas: str, folder: Path, tmp_path: Path) -> None:
    found = layers(folder, ALPHAS[alphas])
    lora = kohyas(found, tmp_path / "lora.safetensors")
    assert differs(folder, merged(folder, found, tmp_path / "merged"), lora) <= 1
    assert differs(folder, merged(folder, found, tmp_path / "half", 0.5), lora, scale=0.5) <= 1
    assert differs(folder, folder, lora) > 8  # it is seen


def test_ranks_without_alphas(sd1: Path, tmp_path: Path) -> None:
    found = layers(sd1, ALPHAS["of the rank"])
    tensors = {}
    for name, (down, up, _) in found.items():
        tensors |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}
    save_file(tensors, tmp_path / "lora.safetensors")
    other = merged(sd1, found, tmp_path / "merged")
    assert differs(sd1, other, tmp_path / "lora.safetensors") <= 1


@pytest.mark.parametrize("rslora", [False, True])
def test_alphas_in_pefts_configuration(rslora: bool, sd1: Path, tmp_path: Path) -> None:
    """lora_alpha, alpha_pattern, and rank-stabilised: alpha / sqrt(rank) (Kalajdzievski 2023)."""
    first = next(iter(loras.pairs(sd1)))

    def alpha(i: int, rank: int) -> float:
        own = 6.0 if i == 0 else 3.0
        return own * rank**0.5 if rslora else own

    found = layers(sd1, alpha)
    tensors = {}
    for name, (down, up, _) in found.items():
        tensors |= {f"base_model.model.{name}.lora_{half}.weight": one
                    for half, one in (("A", down), ("B", up))}  # fmt: skip
    (tmp_path / "adapter").mkdir()
    save_file(tensors, tmp_path / "adapter" / "adapter_model.safetensors")
    config = {"lora_alpha": 3, "r": 4, "alpha_pattern": {first: 6}, "use_rslora": rslora}
    plain = checks.content("lora", str(tmp_path / "adapter"))
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    assert checks.content("lora", str(tmp_path / "adapter")) != plain
    assert differs(sd1, merged(sd1, found, tmp_path / "merged"), tmp_path / "adapter") <= 1


def test_alphas_in_diffusers_metadata(sd1: Path, tmp_path: Path) -> None:
    found = layers(sd1, lambda i, rank: 3.0)
    tensors = {}
    for name, (down, up, _) in found.items():
        tensors |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}
    metadata = {"format": "pt", "lora_adapter_metadata": json.dumps({"unet.lora_alpha": 3})}
    save_file(tensors, tmp_path / "lora.safetensors", metadata=metadata)
    other = merged(sd1, found, tmp_path / "merged")
    assert differs(sd1, other, tmp_path / "lora.safetensors") <= 1


def test_files_of_one_alpha_keep_their_content_hash(sd1: Path, tmp_path: Path) -> None:
    """As archives have it; those that were computed wrongly then have another."""
    plain = loras.kohya(loras.pairs(sd1), tmp_path)
    assert lora_tensors.mark(plain) == ""
    for alphas in ALPHAS.values():
        assert lora_tensors.mark(kohyas(layers(sd1, alphas), tmp_path / "several.safetensors"))


def test_the_names_of_2023(folder: Path, tmp_path: Path) -> None:
    """As diffusers' training scripts wrote them, with attention processors in their names."""
    found = {name: (*pair, float(loras.RANK)) for name, pair in loras.pairs(folder).items()}
    for begin in ("unet.", ""):
        tensors = {}
        for name, (down, up, _) in found.items():
            module, _, kind = name.removesuffix(".0").rpartition(".")
            key = f"{begin}{module}.processor.{kind}_lora"
            tensors |= {f"{key}.down.weight": down, f"{key}.up.weight": up}
        file = tmp_path / f"of_2023_{bool(begin)}.safetensors"
        save_file(tensors, file)
        assert differs(folder, merged(folder, found, tmp_path / f"merged{begin}"), file) <= 1


def test_embeddings_in_a_lora_are_left_out_and_told(sd1: Path, tmp_path: Path) -> None:
    found = layers(sd1, ALPHAS["of the rank"])
    file = kohyas(found, tmp_path / "lora.safetensors")
    bundled = {"bundle_emb.myword.string_to_param.*": torch.ones(2, 32)}
    save_file(load_file(file) | bundled, file)
    assert differs(sd1, merged(sd1, found, tmp_path / "merged"), file) <= 1
    from tests.reading import reader

    (warning,) = reader(sd1, tmp_path)(lora=str(file)).warnings
    assert warning.startswith(f"lora={file}: brings the embedding myword along")


FOREIGN = {
    "LoHa": {"hada_w1_a": (8, 4), "hada_w1_b": (4, 8), "hada_w2_a": (8, 4), "hada_w2_b": (4, 8)},
    "LoKr": {"lokr_w1": (4, 4), "lokr_w2": (8, 8)},
    "LoCon with a core": {"lora_mid.weight": (4, 4, 3, 3)},
    "DoRA": {"dora_scale": (32, 1)},
    "OFT": {"oft_blocks": (4, 8, 8)},
    "GLoRA": {"a1.weight": (4, 32), "b1.weight": (4, 32)},
    "(IA)3": {"on_input": ()},
    "full weights": {"diff": (32, 32)},
    "DoRA of PEFT": {"lora_magnitude_vector.weight": (32,)},
    "does not know as part of a LoRA": {"reshape_weight": (2,)},
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("beside", [True, False])
def test_what_is_no_lora_is_refused_by_its_name(
    kind: str, beside: bool, folder: Path, tmp_path: Path
) -> None:
    """Also where plain pairs are beside it: a part of a file would be another picture."""
    file = loras.kohya(loras.pairs(folder), tmp_path)
    tensors = load_file(file) if beside else {}
    key = next(iter(load_file(file))).partition(".")[0]
    tensors |= {f"{key}.{name}": torch.ones(shape) for name, shape in FOREIGN[kind].items()}
    save_file(tensors, file)
    spec = ModelSpec(name="tested", id=str(folder))
    named = (
        kind.removesuffix(" of PEFT")
        if beside or kind != "does not know as part of a LoRA"
        else "contains no LoRA"
    )
    with pytest.raises(ModelError, match=f"lora=.*{named.replace('(', '[(]').replace(')', '[)]')}"):
        checks.check_lora(str(file), spec, models.inspect(spec))


def test_half_a_pair_is_refused(sd1: Path, tmp_path: Path) -> None:
    file = loras.kohya(loras.pairs(sd1), tmp_path)
    tensors = load_file(file)
    tensors.pop(next(key for key in tensors if "lora_up" in key))
    save_file(tensors, file)
    spec = ModelSpec(name="tested", id=str(sd1))
    with pytest.raises(ModelError, match=r"only one half of "):
        checks.check_lora(str(file), spec, models.inspect(spec))


def test_layers_that_are_left_out_are_told(sd1: Path, tmp_path: Path) -> None:
    """A LoRA for two text encoders, on a model that has one: diffusers would say nothing."""
    file = loras.with_text_encoder(loras.kohya(loras.pairs(sd1), tmp_path), layers=2, width=32)
    tensors = load_file(file)
    second = {key.replace("lora_te_", "lora_te2_"): one.clone() for key, one in tensors.items()}
    save_file(tensors | second, file)
    events = sweep(cells_of({}, {"lora": str(file)}), folder=sd1)
    (failed,) = sweeping.of_type(events, sweeping.CellFailed)
    assert failed.cell == 1 and "of its" in failed.reason and "does not fit" in failed.reason


def flux_layers(folder: Path) -> loras.Pairs:
    """Of the image's and the text's attention in the first double block."""
    every = loras.pairs(folder, diffusers.FluxTransformer2DModel, "transformer")
    return {name: pair for name, pair in every.items() if name.startswith("transformer_blocks.0.")}


def test_xlabs_loras_for_flux(tmp_path: Path) -> None:
    folder = families.flux(tmp_path / "flux")
    generator = torch.Generator().manual_seed(9)
    width, tensors = 32, {}
    for part in ("1", "2"):
        for module, outputs in (("qkv", 3 * width), ("proj", width)):
            key = f"double_blocks.0.processor.{module}_lora{part}"
            tensors[f"{key}.down.weight"] = torch.randn(4, width, generator=generator) * 0.3
            tensors[f"{key}.up.weight"] = torch.randn(outputs, 4, generator=generator) * 0.3
    file = tmp_path / "xlabs.safetensors"
    save_file(tensors, file)
    pipeline = diffusers.FluxPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(dict(tensors))
    cells = cells_of({"lora": str(file)})
    spec = ModelSpec(name="tested", id=str(folder))
    checks.check_lora(str(file), spec, models.inspect(spec))
    expected = sweeping.by_pipeline(pipeline, cells[0].recipe)
    made = pictures(sweep(cells, spec=spec))
    assert most_different(made, {0: np.asarray(expected)}) <= 1
    assert most_different(pictures(sweep(cells_of({}), spec=spec)), {0: np.asarray(expected)}) > 8


def test_comfyuis_names_for_flux(tmp_path: Path) -> None:
    """Query, key and value in one, behind diffusion_model."""
    folder = families.flux(tmp_path / "flux")
    generator = torch.Generator().manual_seed(9)
    down = torch.randn(4, 32, generator=generator)
    up = torch.randn(96, 4, generator=generator)
    key = "diffusion_model.double_blocks.0.img_attn.qkv"
    save_file({f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up, f"{key}.alpha":
               torch.tensor(2.0)}, tmp_path / "comfy.safetensors")  # fmt: skip
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    other = Path(shutil.copytree(folder, tmp_path / "merged"))
    tensors = load_file(weights)
    for i, part in enumerate(("to_q", "to_k", "to_v")):
        name = f"transformer_blocks.0.attn.{part}.weight"
        tensors[name] = tensors[name] + 0.5 * up[32 * i : 32 * (i + 1)] @ down
    save_file(tensors, other / "transformer" / weights.name, metadata={"format": "pt"})
    assert differs(folder, other, tmp_path / "comfy.safetensors") <= 1
    assert differs(folder, folder, tmp_path / "comfy.safetensors") > 2


@pytest.mark.parametrize(
    "key",
    ["lora_transformer_single_transformer_blocks_0_attn_to_k", "diffusion_model.blocks.0.attn.q",
     "model.layers.0.self_attn.q_proj"],
)  # fmt: skip
def test_foreign_names_for_flux_are_refused(key: str, tmp_path: Path) -> None:
    folder = families.flux(tmp_path / "flux")
    file = tmp_path / "foreign.safetensors"
    save_file({f"{key}.lora_down.weight": torch.ones(4, 32), f"{key}.lora_up.weight":
               torch.ones(32, 4)}, file)  # fmt: skip
    spec = ModelSpec(name="tested", id=str(folder))
    with pytest.raises(ModelError, match=f"has {key}.*a name that FluxPipeline does not know"):
        checks.check_lora(str(file), spec, models.inspect(spec))
