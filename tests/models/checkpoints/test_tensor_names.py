"""Names and shapes of Stable Diffusion 3's and Flux's own files, against diffusers' converters, and
against the configurations that the models were published with.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, SD3Transformer2DModel
from diffusers.loaders import single_file_utils
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from sdviz.models.checkpoints import shapes_to_configs, tensor_names
from tests.models import original

BLOCKS = {"joint_blocks": 3, "double_blocks": 2, "single_blocks": 2}
FLUX_WIDTH = 3072  # diffusers' converter knows no other


def numbered(kind: str) -> dict[str, torch.Tensor]:
    """A file of one column, in which every row has its number."""
    width = FLUX_WIDTH if kind == "flux" else 6
    made = {}
    for module, parts in original.modules(kind, BLOCKS).items():
        if "attn2" in module and not module.startswith("joint_blocks.0."):
            continue  # the first block alone has a second attention
        if module.startswith("joint_blocks.2.context_block") and not any(
            kept in module for kept in ("qkv", "ln_", "adaLN")
        ):
            continue  # the last block's text ends in its attention
        rows = width * len(parts) * (2 if "adaLN" in module or "mod.lin" in module else 1)
        rows += 3 * width * module.endswith("linear1")
        for end in ("weight", "bias"):
            made[f"{module}.{end}"] = torch.arange(rows).reshape(rows, 1)
        if "_norm" in module or "ln_" in module:
            del made[f"{module}.bias"]
            weight = made.pop(f"{module}.weight")
            made[f"{module}.{'scale' if kind == 'flux' else 'weight'}"] = weight
    return made | ({"pos_embed": torch.zeros(1, 4, width)} if kind == "sd3" else {})


@pytest.mark.parametrize("kind", ["sd3", "flux"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_names_and_rows_are_as_diffusers_has_them(kind: str, prefix: str) -> None:
    tensors = {f"{prefix}{name}": tensor for name, tensor in numbered(kind).items()}
    convert = getattr(single_file_utils, f"convert_{kind}_transformer_checkpoint_to_diffusers")
    expected = convert(dict(tensors))
    found = tensor_names.denoiser({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    assert found.keys() == expected.keys() and tensor_names.kind(found) == kind
    for name, rows in found.items():
        whole = tensors[rows.name]
        parts = [whole[begin:end] for begin, end in rows.ranges] or [whole]
        assert torch.equal(torch.cat(parts), expected[name]), name


PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "stable-diffusion-3-medium": (
        "sd3",
        {"num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536,
         "pos_embed_max_size": 192, "qk_norm": None, "dual_attention_layers": []},
    ),
    "stable-diffusion-3.5-medium": (
        "sd3",
        {"num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536,
         "pos_embed_max_size": 384, "qk_norm": "rms_norm",
         "dual_attention_layers": list(range(13))},
    ),
    "stable-diffusion-3.5-large": (
        "sd3",
        {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432,
         "pos_embed_max_size": 192, "qk_norm": "rms_norm", "dual_attention_layers": []},
    ),
    "FLUX.1-dev": ("flux", {"guidance_embeds": True}),
    "FLUX.1-schnell": ("flux", {"guidance_embeds": False}),
}  # fmt: skip
COMMON: dict[str, dict[str, Any]] = {
    "sd3": {"_class_name": "SD3Transformer2DModel", "sample_size": 128, "patch_size": 2,
            "in_channels": 16, "out_channels": 16, "attention_head_dim": 64,
            "joint_attention_dim": 4096, "pooled_projection_dim": 2048},
    "flux": {"_class_name": "FluxTransformer2DModel", "patch_size": 1, "in_channels": 64,
             "out_channels": 64, "num_layers": 19, "num_single_layers": 38,
             "attention_head_dim": 128, "num_attention_heads": 24, "joint_attention_dim": 4096,
             "pooled_projection_dim": 768, "axes_dims_rope": [16, 56, 56]},
}  # fmt: skip


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_published_transformer_is_known_by_its_shapes(model: str) -> None:
    kind, own = PUBLISHED[model]
    config = {**COMMON[kind], **own}
    cls = SD3Transformer2DModel if kind == "sd3" else FluxTransformer2DModel
    small = {"pos_embed_max_size": 4, "sample_size": 8} if kind == "sd3" else {}
    with torch.device("meta"):
        weights = dict(cls.from_config({**config, **small}).state_dict())
        if kind == "sd3":  # computed in float64, gigabytes of it
            places = config["pos_embed_max_size"] ** 2
            weights["pos_embed.pos_embed"] = torch.empty(1, places, 64 * config["num_layers"])
        file = original.transformer(kind, weights)
    shapes = {name: tuple(tensor.shape) for name, tensor in file.items()}
    rows = tensor_names.denoiser(shapes)
    known = {name: row.shape(shapes) for name, row in rows.items()}
    assert known == {name: tuple(tensor.shape) for name, tensor in weights.items()}
    assert tensor_names.gap(known) == "" and tensor_names.strange(rows, shapes) == ""
    assert shapes_to_configs.transformer(kind, known, name="tested") == config
    timing = shapes_to_configs.scheduler(kind, config)
    assert timing["shift"] == (1.0 if model == "FLUX.1-schnell" else 3.0)
    assert timing.get("use_dynamic_shifting", False) is (model == "FLUX.1-dev")


def shapes_of(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_the_published_text_encoders_are_known_by_their_shapes() -> None:
    # Parameters: those of openai/clip-vit-large-patch14 and laion's OpenCLIP bigG with their
    # projections, and of google/t5-v1_1-xxl's encoder.
    sizes = {"clip_l": (768, 12, 3072, 123_650_304), "clip_g": (1280, 32, 5120, 694_659_840)}
    for which, (width, layers, inner, parameters) in sizes.items():
        with torch.device("meta"):
            published = CLIPTextConfig(
                hidden_size=width, projection_dim=width, intermediate_size=inner,
                num_hidden_layers=layers, num_attention_heads=width // 64,
            )  # fmt: skip
            shapes = shapes_of(CLIPTextModelWithProjection(published))
            config = CLIPTextConfig(**shapes_to_configs.clip(which, shapes))
            module = CLIPTextModelWithProjection(config)
        assert sum(weight.numel() for weight in module.parameters()) == parameters
        assert config.num_attention_heads == width // 64 and config.eos_token_id == 49407
    with torch.device("meta"):
        xxl = T5Config(
            vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
            feed_forward_proj="gated-gelu",
        )  # fmt: skip
        config = T5Config(**shapes_to_configs.t5(shapes_of(T5EncoderModel(xxl))))
        module = T5EncoderModel(config)
    assert sum(weight.numel() for weight in module.parameters()) == 4_762_310_656
    assert (config.d_kv, config.dense_act_fn, config.is_gated_act) == (64, "gelu_new", True)


FACTORS = {"sd3": (1.5305, 0.0609), "flux": (0.3611, 0.1159)}


@pytest.mark.parametrize("kind", FACTORS)
def test_the_published_vaes_are_known_by_their_shapes(kind: str) -> None:
    shapes = {f"encoder.down.{i}.block.{j}.conv1.weight": (width, width, 3, 3)
              for i, width in enumerate((128, 256, 512, 512)) for j in range(2)}  # fmt: skip
    config = shapes_to_configs.vae(kind, {**shapes, "decoder.conv_in.weight": (512, 16, 3, 3)})
    with torch.device("meta"):
        module = AutoencoderKL.from_config(config)
    assert sum(weight.numel() for weight in module.parameters()) == 83_819_683
    assert (config["scaling_factor"], config["shift_factor"]) == FACTORS[kind]
