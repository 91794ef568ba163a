"""The flow-matching miniature: a small Stable Diffusion 3, trained on the other's latents."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import SD3Transformer2DModel
from diffusers.models.attention_processor import Attention, JointAttnProcessor2_0
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)
from transformers import CLIPTextModelWithProjection as TextEncoder

from experiments.miniature.clip import token_ids
from experiments.miniature.data import caption_of
from experiments.miniature.live import Live
from experiments.miniature.tokens import LENGTH
from experiments.miniature.training import Budget, Stage, fit
from experiments.miniature.world import SIZE

T5_TOKENS = 256  # that StableDiffusion3Pipeline appends to CLIP's 77
TIMESTEPS = 1000  # the transformer's timestep is the share of noise times this


class CountedAttention:
    """Joint attention whose last text token stands for `count` equal ones.

    The T5 encoder of `silent_t5` answers with 256 zero tokens. Text has no positions here, so all
    of them stay equal in every block. One token with log(count) added to its scores has the same
    effect on the others, for 142 tokens in place of 397.
    """

    def __init__(self, count: int) -> None:
        self.extra = math.log(count)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: None = None,
    ) -> tuple[Tensor, Tensor]:
        """The attention of image and text tokens over both, projected back for each."""
        image, text = hidden_states, encoder_hidden_states

        def heads(of_image: Tensor, of_text: Tensor, norms: tuple[nn.Module, ...]) -> Tensor:
            parts = [x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (of_image, of_text)]
            if norms:
                parts = [norm(x) for norm, x in zip(norms, parts, strict=True)]
            return torch.cat(parts, 2)

        query = heads(attn.to_q(image), attn.add_q_proj(text), (attn.norm_q, attn.norm_added_q))
        key = heads(attn.to_k(image), attn.add_k_proj(text), (attn.norm_k, attn.norm_added_k))
        value = heads(attn.to_v(image), attn.add_v_proj(text), ())
        extra = F.pad(torch.zeros(key.shape[2] - 1), (0, 1), value=self.extra)
        scores = query @ key.transpose(-1, -2) * attn.scale + extra
        mixed = (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).flatten(2)
        seen, read = mixed.split([image.shape[1], text.shape[1]], 1)
        return attn.to_out[0](seen), read if attn.context_pre_only else attn.to_add_out(read)


def second_encoder(tokenizer: CLIPTokenizer, width: int, layers: int) -> TextEncoder:
    """The text encoder that trains along with the transformer; the first is the miniature's own."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder = TextEncoder(config)
    encoder.set_attn_implementation("eager")  # twice the speed of the fused one on a CPU
    return encoder


def first_encoder(clip: CLIPModel) -> TextEncoder:
    """The text tower of a CLIP with its projection, the same weights, frozen."""
    encoder = TextEncoder(clip.config.text_config)
    state = {f"text_model.{name}": weight for name, weight in clip.text_model.state_dict().items()}
    encoder.load_state_dict({**state, "text_projection.weight": clip.text_projection.weight})
    return encoder.eval().requires_grad_(False)


def silent_t5(width: int) -> tuple[T5EncoderModel, T5TokenizerFast]:
    """A T5 encoder without layers whose answer is zero, and its tokenizer.

    The pipeline takes zeros where it is given no T5, but it does not load a folder without one.
    """
    encoder = T5EncoderModel(
        T5Config(vocab_size=3, d_model=width, d_kv=32, d_ff=32, num_heads=1, num_layers=0)
    )
    nn.init.zeros_(encoder.encoder.final_layer_norm.weight)
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return encoder.eval(), T5TokenizerFast(vocab=words, extra_ids=0)


class Flow(nn.Module):
    """The transformer, and the text encoder that trains along."""

    def __init__(
        self,
        first: TextEncoder,
        second: TextEncoder,
        layers: int,
        heads: int,
        head: int,
    ) -> None:
        super().__init__()
        widths = [encoder.config.hidden_size for encoder in (first, second)]
        pooled = [encoder.config.projection_dim for encoder in (first, second)]
        self.second = second
        self.transformer = SD3Transformer2DModel(
            sample_size=SIZE // 8,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=layers,
            num_attention_heads=heads,
            attention_head_dim=head,
            caption_projection_dim=heads * head,
            joint_attention_dim=sum(widths),
            pooled_projection_dim=sum(pooled),
            pos_embed_max_size=24,  # patches, 384 pixels
            qk_norm="rms_norm",
        )
        self.transformer.set_attn_processor(CountedAttention(T5_TOKENS))

    def forward(self, noisy: Tensor, share: Tensor, read: tuple[Tensor, Tensor], ids: Tensor):  # type: ignore[no-untyped-def]
        """The predicted velocity of latents (n, 4, 16, 16) with a `share` (n,) of noise, 0..1.

        `read` is what the first text encoder makes of the tokens `ids` (n, 77).
        """
        states, pooled = encoded(self.second, ids)
        context = torch.cat([read[0], states], -1)
        empty = context.new_zeros(len(context), 1, context.shape[-1])
        return self.transformer(
            noisy,
            torch.cat([context, empty], 1),
            torch.cat([read[1], pooled], -1),
            share * TIMESTEPS,
        ).sample


def encoded(encoder: TextEncoder, ids: Tensor) -> tuple[Tensor, Tensor]:
    """As the pipeline reads them: the last layer but one (n, 77, width), the pooled (n, width)."""
    made = encoder(ids, output_hidden_states=True)
    return made.hidden_states[-2], made.text_embeds


def training_shares(count: int, generator: torch.Generator) -> Tensor:
    """Shares of noise of a batch: float (count,) in 0..1, in any order.

    Half of them logit-normal (Esser et al. 2024, section 3.1), half uniform: samplers begin at 1,
    where the logit-normal has no density.
    """
    half = count // 2
    slots = torch.cat([torch.arange(half) / half, torch.arange(count - half) / (count - half)])
    widths = torch.where(torch.arange(count) < half, 1 / half, 1 / (count - half))
    even = slots + widths * torch.rand(count, generator=generator)
    normal = torch.special.ndtri(even[:half].clamp(1e-4, 1 - 1e-4)).sigmoid()
    shares = torch.cat([normal, even[half:]])
    return shares[torch.randperm(count, generator=generator)]


def train_flow(
    flow: Flow,
    first: TextEncoder,
    tokenizer: CLIPTokenizer,
    latents: np.ndarray,
    scale: float,
    drop: float,
    budget: Budget,
    work: Path,
    live: Live,
    sample: Callable[[Flow], np.ndarray],
) -> Stage:
    """Rectified flow: v = noise - x0 of x = (1 - share) x0 + share noise, captions dropped."""
    stage = Stage("flow", flow, budget)
    generator = torch.Generator()

    def loss_of() -> Tensor:
        rows = np.random.randint(0, len(latents), budget.batch)
        clean = torch.from_numpy(latents[rows]).float() * scale
        rng = random.Random(int(np.random.randint(1 << 31)))
        texts = ["" if rng.random() < drop else caption_of(int(row), rng) for row in rows]
        ids = token_ids(tokenizer, texts)
        generator.manual_seed(int(np.random.randint(1 << 31)))
        shares = training_shares(len(rows), generator)
        noise = torch.randn(clean.shape, generator=generator)
        weight = shares.view(-1, 1, 1, 1)
        noisy = (1 - weight) * clean + weight * noise
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                read = encoded(first, ids)
            guess = stage.model(noisy, shares, read, ids)
        return F.mse_loss(guess.float(), noise - clean)

    def show() -> None:
        live.pictures("flow", sample(stage.best), 8, f"step {stage.step}, CFG 4")

    fit(stage, loss_of, work, live, show)
    return stage


def as_shipped(flow: Flow) -> SD3Transformer2DModel:
    """The transformer with diffusers' own attention, for the pipeline."""
    flow.transformer.set_attn_processor(JointAttnProcessor2_0())
    return flow.transformer.eval()
