"""Tiny models of the other families, saved by diffusers' own pipelines in their own layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    KolorsPipeline,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.kolors import ChatGLMModel, ChatGLMTokenizer
from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from tests import tiny
from tests.tiny import clip_config, vae

TIME_IDS = 6  # original height and width, crop top and left, target height and width


def scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="leading",
        steps_offset=1,
    )


def sized_unet(cross_attention: int, pooled: int, **more: Any) -> UNet2DConditionModel:
    """Stable Diffusion XL's kind of UNet, for latents of 8x8."""
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=cross_attention,
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=8 * TIME_IDS + pooled,
        **more,
    )
    tiny.liven(unet)
    return unet


def sdxl(folder: Path) -> Path:
    """A Stable Diffusion XL of 64x64 pixels."""
    torch.manual_seed(1)
    words = tiny.tokenizer(folder / "tokenizer")
    StableDiffusionXLPipeline(
        vae=vae(scaling_factor=0.13025),
        text_encoder=CLIPTextModel(clip_config(words, 32, layers=3)),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(words, 40, layers=3)),
        tokenizer=words,
        tokenizer_2=tiny.tokenizer(folder / "tokenizer_2"),
        unet=sized_unet(cross_attention=72, pooled=40),
        scheduler=scheduler(),
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def kolors(folder: Path) -> Path:
    """A Kolors of 64x64 pixels, whose text encoder is a small ChatGLM."""
    torch.manual_seed(2)
    words = glm_tokenizer(folder / "tokenizer")
    config = ChatGLMConfig(
        num_layers=2,
        padded_vocab_size=words.vocab_size,
        hidden_size=32,
        ffn_hidden_size=48,
        kv_channels=8,
        num_attention_heads=4,
        multi_query_attention=True,
        multi_query_group_num=2,
        add_qkv_bias=True,
        seq_length=256,
        original_rope=True,
    )
    text_encoder = ChatGLMModel(config, empty_init=False)
    for name, weight in text_encoder.named_parameters():
        if "norm" in name:  # left as the memory was, in diffusers' code
            torch.nn.init.ones_(weight)
    KolorsPipeline(
        vae=vae(scaling_factor=0.13025),
        text_encoder=text_encoder,
        tokenizer=words,
        unet=sized_unet(
            cross_attention=24, pooled=32, encoder_hid_dim=32, encoder_hid_dim_type="text_proj"
        ),
        scheduler=scheduler(),
        force_zeros_for_empty_prompt=False,
    ).save_pretrained(folder)
    return folder


def glm_tokenizer(folder: Path) -> ChatGLMTokenizer:
    """ChatGLM's tokenizer over a SentencePiece vocabulary of a few characters."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    sentences = ["a small cat, sitting on the moon", "red dogs and blue cars", "一只小猫坐在月亮上"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 4),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return ChatGLMTokenizer(str(folder / "tokenizer.model"))


def sd3(folder: Path) -> Path:
    """A Stable Diffusion 3 of 64x64 pixels, without T5, as its pipeline allows."""
    torch.manual_seed(3)
    words = tiny.tokenizer(folder / "tokenizer")
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=64,
        pooled_projection_dim=64,
        pos_embed_max_size=16,
    )
    StableDiffusion3Pipeline(
        vae=vae(scaling_factor=1.5, shift_factor=0.06),
        text_encoder=CLIPTextModelWithProjection(clip_config(words, 32)),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(words, 32)),
        text_encoder_3=None,
        tokenizer=words,
        tokenizer_2=tiny.tokenizer(folder / "tokenizer_2"),
        tokenizer_3=None,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    return folder


def flux(folder: Path, *, distilled: bool = True) -> Path:
    """A Flux whose latents have 4 channels, with a T5 of a few words; `distilled` as dev."""
    torch.manual_seed(4)
    words = tiny.tokenizer(folder / "tokenizer")
    pieces = t5_tokenizer()
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=distilled,
    )
    t5 = T5Config(vocab_size=len(pieces), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    FluxPipeline(
        vae=vae(scaling_factor=0.36, shift_factor=0.11),
        text_encoder=CLIPTextModel(clip_config(words, 32)),
        text_encoder_2=T5EncoderModel(t5),
        tokenizer=words,
        tokenizer_2=pieces,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    ).save_pretrained(folder)
    return folder


def t5_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, of which a few are known."""
    words = ["<pad>", "</s>", "<unk>", "a", "cat", ",", "sitting", "red", "dogs"]
    tokens = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokens.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=32,
    )
