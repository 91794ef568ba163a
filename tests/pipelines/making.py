"""Tiny pipelines with random weights, of as many of diffusers' text-to-image pipelines as can be
made without a network (docs/models.md has those that cannot). Each is
made in well under a second, for pictures of 64x64 pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import (
    AutoencoderDC,
    AutoencoderKLFlux2,
    AutoencoderKLHunyuanImage,
    AutoencoderKLQwenImage,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests import families, tiny
from tests.tiny import vae as small_vae

WIDTH = 32  # of every text encoder
_WORDS = [
    "a",
    "cat",
    ",",
    "sitting",
    "red",
    "dogs",
    "blue",
    "user",
    "system",
    "assistant",
    "the",
    "of",
    "image",
    "in",
]
_CHAT = (
    "{% for m in messages %}{{ m['role'] }} {% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{{ m['content'][0]['text'] }}{% endif %} {% endfor %}"
)
_COUNT = 8 + len(_WORDS)


def words(**more: Any) -> PreTrainedTokenizerFast:
    """Whole words, of which a few are known; with a chat template, as language models have."""
    tokens = ["<pad>", "</s>", "<unk>", "<s>", *_WORDS]
    table = {token: i for i, token in enumerate(tokens)}
    made = Tokenizer(WordLevel(table, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 3), ("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<s>",
        model_max_length=1000,
        chat_template=_CHAT,
        **more,
    )


def t5() -> Any:
    return transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=_COUNT, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2
        )
    )


def _language_model(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": _COUNT,
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1200,
        "pad_token_id": 0,
        "bos_token_id": 3,
        "eos_token_id": 1,
        **more,
    }


def qwen3(kind: str = "Qwen3Model", **more: Any) -> Any:
    config = transformers.Qwen3Config(**_language_model(head_dim=16, **more))
    return getattr(transformers, kind)(config)


def qwen_vl() -> Any:
    """A Qwen2.5-VL, which is asked of texts alone."""
    rope = {"mrope_section": [2, 2, 4], "rope_type": "default", "rope_theta": 1e6}
    text = _language_model(rope_scaling=rope, rope_parameters=rope)
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
              "out_hidden_size": WIDTH}  # fmt: skip
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def gemma2() -> Any:
    return transformers.Gemma2Model(transformers.Gemma2Config(**_language_model(head_dim=16)))


def flow(**more: Any) -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(**more)


def vae(channels: int = 4) -> Any:
    return small_vae(channels, scaling_factor=0.5, shift_factor=0.1)


def qwen_vae() -> Any:
    """Whose latents have a time, and a mean and a deviation each channel."""
    return AutoencoderKLQwenImage(
        base_dim=16, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.1, 0.0, 0.2], latents_std=[1.0, 1.5, 0.8, 1.2],
    )  # fmt: skip


def deep_vae() -> Any:
    """Sana's, which makes latents 32 times smaller."""
    return AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2,
        encoder_block_types="ResBlock", decoder_block_types="ResBlock",
        encoder_block_out_channels=(4,) * 6, decoder_block_out_channels=(4,) * 6,
        encoder_qkv_multiscales=((),) * 6, decoder_qkv_multiscales=((),) * 6,
        encoder_layers_per_block=(1,) * 6, decoder_layers_per_block=(1,) * 6,
        downsample_block_type="conv", upsample_block_type="interpolate",
        decoder_norm_types="rms_norm", decoder_act_fns="silu", scaling_factor=0.41,
    )  # fmt: skip


def flux2_vae() -> Any:
    """Whose latents are 2x2 in one token, with the statistics of a batch norm."""
    made = AutoencoderKLFlux2(
        block_out_channels=(16, 16, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, norm_num_groups=8,
    )  # fmt: skip
    made.bn.running_mean.normal_()
    made.bn.running_var.uniform_(0.5, 2)
    return made


def aura_flow() -> Any:
    return diffusers.AuraFlowPipeline(
        transformer=diffusers.AuraFlowTransformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, num_mmdit_layers=1,
            num_single_dit_layers=1, attention_head_dim=8, num_attention_heads=4,
            caption_projection_dim=32, joint_attention_dim=WIDTH, out_channels=4,
            pos_embed_max_size=64,
        ),
        text_encoder=transformers.UMT5EncoderModel(
            transformers.UMT5Config(
                vocab_size=_COUNT, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2
            )
        ),
        tokenizer=words(), vae=vae(), scheduler=flow(),
    )  # fmt: skip


def bria() -> Any:
    return diffusers.BriaPipeline(
        transformer=diffusers.BriaTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1,
            attention_head_dim=8, num_attention_heads=4, joint_attention_dim=WIDTH,
            pooled_projection_dim=None, axes_dims_rope=[0, 4, 4],
        ),
        text_encoder=t5(), tokenizer=words(), vae=vae(), scheduler=flow(),
        image_encoder=None, feature_extractor=None,
    )  # fmt: skip


def chroma() -> Any:
    return diffusers.ChromaPipeline(
        transformer=diffusers.ChromaTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1,
            attention_head_dim=16, num_attention_heads=2, joint_attention_dim=WIDTH,
            axes_dims_rope=[4, 4, 8], approximator_hidden_dim=32, approximator_layers=1,
            approximator_num_channels=16,
        ),
        text_encoder=t5(), tokenizer=words(), vae=vae(), scheduler=flow(),
    )  # fmt: skip


def cogview3_plus() -> Any:
    return diffusers.CogView3PlusPipeline(
        transformer=diffusers.CogView3PlusTransformer2DModel(
            patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8,
            num_attention_heads=2, out_channels=4, text_embed_dim=WIDTH, time_embed_dim=8,
            condition_dim=2, pos_embed_max_size=8, sample_size=8,
        ),
        text_encoder=t5(), tokenizer=words(), vae=vae(),
        scheduler=diffusers.CogVideoXDDIMScheduler(),
    )  # fmt: skip


def cogview4() -> Any:
    glm = transformers.GlmConfig(**_language_model(head_dim=16))
    return diffusers.CogView4Pipeline(
        transformer=diffusers.CogView4Transformer2DModel(
            patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8,
            num_attention_heads=2, out_channels=4, text_embed_dim=WIDTH, time_embed_dim=8,
            condition_dim=4, sample_size=8, rope_axes_dim=(16, 16),
        ),
        text_encoder=transformers.GlmModel(glm), tokenizer=words(padding_side="left"), vae=vae(),
        scheduler=flow(base_shift=0.25, max_shift=0.75, base_image_seq_len=256,
                       use_dynamic_shifting=True, time_shift_type="linear"),
    )  # fmt: skip


def flux2_klein() -> Any:
    return diffusers.Flux2KleinPipeline(
        transformer=diffusers.Flux2Transformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1,
            attention_head_dim=16, num_attention_heads=2, joint_attention_dim=3 * WIDTH,
            timestep_guidance_channels=16, axes_dims_rope=[4, 4, 4, 4], guidance_embeds=False,
        ),
        text_encoder=qwen3("Qwen3ForCausalLM", num_hidden_layers=28), tokenizer=words(),
        vae=flux2_vae(), scheduler=flow(use_dynamic_shifting=True), is_distilled=False,
    )  # fmt: skip


def hunyuan_image(*, distilled: bool = False) -> Any:
    guider = diffusers.guiders.AdaptiveProjectedMixGuidance
    t5_config = transformers.T5Config(
        vocab_size=400, d_model=WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return diffusers.HunyuanImagePipeline(
        transformer=diffusers.HunyuanImageTransformer2DModel(
            in_channels=4, out_channels=4, num_attention_heads=4, attention_head_dim=8,
            num_layers=1, num_single_layers=1, num_refiner_layers=1, patch_size=(1, 1),
            guidance_embeds=distilled, text_embed_dim=WIDTH, text_embed_2_dim=WIDTH,
            rope_axes_dim=(4, 4),
        ),
        vae=AutoencoderKLHunyuanImage(
            in_channels=3, out_channels=3, latent_channels=4,
            block_out_channels=(32, 32, 32, 32), layers_per_block=1, scaling_factor=0.48,
            spatial_compression_ratio=8, sample_size=64,
        ),
        text_encoder=qwen_vl(), tokenizer=words(),
        text_encoder_2=transformers.T5EncoderModel(t5_config),
        tokenizer_2=transformers.ByT5Tokenizer(), scheduler=flow(shift=7.0),
        guider=None if distilled else guider(adaptive_projected_guidance_start_step=2),
        ocr_guider=None if distilled else guider(adaptive_projected_guidance_start_step=3),
    )  # fmt: skip


def kandinsky3() -> Any:
    return diffusers.Kandinsky3Pipeline(
        unet=diffusers.Kandinsky3UNet(
            in_channels=4, time_embedding_dim=4, groups=2, attention_head_dim=4,
            layers_per_block=3, block_out_channels=(32, 64), cross_attention_dim=4,
            encoder_hid_dim=WIDTH,
        ),
        text_encoder=t5(), tokenizer=words(),
        movq=diffusers.VQModel(
            block_out_channels=(32, 32, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=1,
            norm_num_groups=8, norm_type="spatial", num_vq_embeddings=12, vq_embed_dim=4,
        ),
        scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=True),
    )  # fmt: skip


def krea2() -> Any:
    text = _language_model(head_dim=16)
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
              "out_hidden_size": WIDTH}  # fmt: skip
    config = transformers.Qwen3VLConfig(text_config=text, vision_config=vision)
    return diffusers.Krea2Pipeline(
        transformer=diffusers.Krea2Transformer2DModel(
            in_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=32, timestep_embed_dim=8,
            text_hidden_dim=WIDTH, num_text_layers=3, text_num_attention_heads=2,
            text_num_key_value_heads=1, text_intermediate_size=16,
            num_layerwise_text_blocks=1, num_refiner_text_blocks=1, axes_dims_rope=(4, 2, 2),
            rope_theta=1000.0,
        ),
        text_encoder=transformers.Qwen3VLModel(config), tokenizer=words(), vae=qwen_vae(),
        scheduler=flow(use_dynamic_shifting=True), text_encoder_select_layers=(0, 1, 2),
    )  # fmt: skip


def lumina() -> Any:
    gemma = transformers.GemmaConfig(**_language_model(head_dim=16))
    return diffusers.LuminaPipeline(
        transformer=diffusers.LuminaNextDiT2DModel(
            sample_size=32, patch_size=2, in_channels=4, hidden_size=16, num_layers=1,
            num_attention_heads=2, num_kv_heads=2, multiple_of=16, norm_eps=1e-5,
            learn_sigma=True, qk_norm=True, cross_attention_dim=WIDTH, scaling_factor=1.0,
        ),
        text_encoder=transformers.GemmaModel(gemma), tokenizer=words(), vae=vae(),
        scheduler=flow(),
    )  # fmt: skip


def lumina2() -> Any:
    return diffusers.Lumina2Pipeline(
        transformer=diffusers.Lumina2Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, hidden_size=8, num_layers=1,
            num_attention_heads=1, num_kv_heads=1, multiple_of=16, norm_eps=1e-5,
            scaling_factor=1.0, axes_dim_rope=(4, 2, 2), cap_feat_dim=WIDTH,
        ),
        text_encoder=gemma2(), tokenizer=words(), vae=vae(), scheduler=flow(),
    )  # fmt: skip


def ovis_image() -> Any:
    return diffusers.OvisImagePipeline(
        transformer=diffusers.OvisImageTransformer2DModel(
            patch_size=1, in_channels=16, out_channels=16, num_layers=1, num_single_layers=1,
            attention_head_dim=16, num_attention_heads=2, joint_attention_dim=WIDTH,
            axes_dims_rope=(4, 4, 8),
        ),
        text_encoder=qwen3(), tokenizer=words(), vae=vae(), scheduler=flow(),
    )  # fmt: skip


def _pixart() -> Any:
    return diffusers.PixArtTransformer2DModel(
        sample_size=32, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=4,
        caption_channels=WIDTH, in_channels=4, cross_attention_dim=32, out_channels=8,
        attention_bias=True, activation_fn="gelu-approximate", num_embeds_ada_norm=1000,
        norm_type="ada_norm_single", norm_elementwise_affine=False, norm_eps=1e-6,
    )  # fmt: skip


def pixart_alpha() -> Any:
    return diffusers.PixArtAlphaPipeline(
        transformer=_pixart(), text_encoder=t5(), tokenizer=words(), vae=vae(),
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    )  # fmt: skip


def pixart_sigma() -> Any:
    return diffusers.PixArtSigmaPipeline(
        transformer=_pixart(), text_encoder=t5(), tokenizer=words(), vae=vae(),
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    )  # fmt: skip


def pixart_pag() -> Any:
    return diffusers.PixArtSigmaPAGPipeline(
        transformer=_pixart(), text_encoder=t5(), tokenizer=words(), vae=vae(),
        scheduler=diffusers.DPMSolverMultistepScheduler(), pag_applied_layers="blocks.1",
    )  # fmt: skip


def qwen_image() -> Any:
    return diffusers.QwenImagePipeline(
        transformer=diffusers.QwenImageTransformer2DModel(
            patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=WIDTH, guidance_embeds=False,
            axes_dims_rope=(8, 4, 4),
        ),
        text_encoder=qwen_vl(), tokenizer=words(), vae=qwen_vae(),
        scheduler=flow(use_dynamic_shifting=True),
    )  # fmt: skip


def _sana(sample_size: int = 16, **more: Any) -> Any:
    return diffusers.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2,
        attention_head_dim=4, num_cross_attention_heads=2, cross_attention_head_dim=4,
        cross_attention_dim=8, caption_channels=WIDTH, sample_size=sample_size, **more,
    )  # fmt: skip


def sana() -> Any:
    return diffusers.SanaPipeline(
        transformer=_sana(), text_encoder=gemma2(), tokenizer=words(), vae=deep_vae(),
        scheduler=flow(shift=3.0),
    )  # fmt: skip


def z_image() -> Any:
    transformer = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=1,
        n_refiner_layers=1, n_heads=2, n_kv_heads=2, norm_eps=1e-5, qk_norm=True,
        cap_feat_dim=WIDTH, rope_theta=256.0, t_scale=1000.0, axes_dims=[8, 4, 4],
        axes_lens=[1024, 32, 32],
    )  # fmt: skip
    for name in ("x_pad_token", "cap_pad_token"):  # left as the memory was, in diffusers' code
        torch.nn.init.normal_(getattr(transformer, name))
    return diffusers.ZImagePipeline(
        transformer=transformer, text_encoder=qwen3(), tokenizer=words(), vae=vae(),
        scheduler=flow(shift=3.0),
    )  # fmt: skip


MAKERS: dict[str, Callable[[], Any]] = {
    make.__name__: make
    for make in (
        aura_flow, bria, chroma, cogview3_plus, cogview4, flux2_klein, kandinsky3,
        krea2, lumina, lumina2, ovis_image, pixart_alpha, pixart_sigma, qwen_image, sana, z_image,
    )
}  # fmt: skip
# The tests of these take longer.
SLOW: dict[str, Callable[[], Any]] = {"hunyuan_image": hunyuan_image}
# Those that other tests have in folders.
FOLDERS: dict[str, Callable[[Path], Path]] = {
    "sd1": tiny.stable_diffusion,
    "sdxl": families.sdxl,
    "kolors": families.kolors,
    "sd3": families.sd3,
    "flux": families.flux,
    "flux_schnell": functools.partial(families.flux, distilled=False),
}


@torch.no_grad()
def saved(name: str, folder: Path) -> Any:
    """The pipeline, ready and saved; what training starts at zero is random, so that everything
    matters.
    """
    torch.manual_seed(len(name))
    if name in FOLDERS:
        without = {"text_encoder_3": None, "tokenizer_3": None} if name == "sd3" else {}
        without |= {"safety_checker": None} if name == "sd1" else {}
        pipeline = diffusers.DiffusionPipeline.from_pretrained(FOLDERS[name](folder), **without)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline
    pipeline = {**MAKERS, **SLOW}[name]()
    return save(pipeline, folder)


@torch.no_grad()
def save(pipeline: Any, folder: Path) -> Any:
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
            for weight in part.parameters():
                if weight.ndim > 1 and not weight.any():
                    torch.nn.init.normal_(weight, std=0.1)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder)
    return pipeline
