"""CLIP's text encoder, with the weights and chunks of prompts, and layers left out (clip skip)."""

from __future__ import annotations

from typing import Any

import torch

from sdviz.models import prompt_weights
from sdviz.models.denoiser import Text

_ROUNDING = 1e-6  # a mean this small, in standard deviations, is an error of rounding


class ClipText:
    """A tokenizer with its encoder; a text of n chunks takes n times 77 tokens."""

    def __init__(self, tokenizer: Any, encoder: Any, *, penultimate: bool = False) -> None:
        """`penultimate`: the family takes the last layer but one, as it is (Stable Diffusion XL);
        otherwise it is the last, through the final layer norm.
        """
        self.tokenizer = tokenizer
        self.encoder = encoder
        self._penultimate = penultimate
        self._comma = tokenizer.get_vocab().get(",</w>")

    def encode(self, text: Text) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(hidden states (tokens, width), pooled text (width,) where the encoder projects one)."""
        if text.emphasis == "none":
            return self._states(self._cut(text.prompt), text.clip_skip)
        states = []
        for chunk in self._chunks(text.prompt):
            hidden, pooled = self._states(self._marked(chunk.ids), text.clip_skip)
            states.append((emphasised(hidden, chunk.weights), pooled))
        return torch.cat([hidden for hidden, _ in states]), states[0][1]

    def _chunks(self, prompt: str) -> list[prompt_weights.Chunk]:
        pieces = prompt_weights.parse(prompt)
        ids = [
            self.tokenizer(piece.text, add_special_tokens=False, truncation=False).input_ids
            for piece in pieces
        ]
        return prompt_weights.chunks(list(zip(pieces, ids, strict=True)), self._comma)

    def _marked(self, ids: tuple[int, ...]) -> list[int]:
        """Begin, text, end, and padding up to 77."""
        words = self.tokenizer
        marked = [words.bos_token_id, *ids, words.eos_token_id]
        return marked + [words.pad_token_id] * (prompt_weights.CHUNK + 2 - len(marked))

    def _cut(self, prompt: str) -> list[int]:
        """77 token ids; what is longer is cut, as diffusers does."""
        words = self.tokenizer(
            prompt,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
        )
        ids: list[int] = words.input_ids
        return ids

    def _states(self, ids: list[int], clip_skip: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        encoder = self.encoder
        row = torch.tensor([ids], device=encoder.device)
        mask = None
        if getattr(encoder.config, "use_attention_mask", False):
            mask = (torch.arange(len(ids)) <= ids.index(self.tokenizer.eos_token_id)).long()
            mask = mask[None].to(encoder.device)
        layers = self._penultimate or clip_skip > 1
        output = encoder(row, attention_mask=mask, output_hidden_states=layers)
        pooled = getattr(output, "text_embeds", None)
        if self._penultimate:
            hidden = output.hidden_states[-clip_skip - 1]
        elif clip_skip > 1:
            # transformers 5 has the parts of a CLIPTextModel one level higher than before
            inner = getattr(encoder, "text_model", encoder)
            hidden = inner.final_layer_norm(output.hidden_states[-clip_skip])
        else:
            hidden = output[0]
        return hidden[0], None if pooled is None else pooled[0]


def emphasised(hidden: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Hidden states (77, width) multiplied by the tokens' weights, their mean as it was before.

    stable-diffusion-webui's emphasis "Original" (modules/sd_emphasis.py); the marks weigh 1.
    """
    if all(weight == 1 for weight in weights):
        return hidden
    rest = [1.0] * (len(hidden) - 1 - len(weights))
    factors = torch.tensor([1.0, *weights, *rest], dtype=hidden.dtype, device=hidden.device)
    weighted = hidden * factors[:, None]
    mean = hidden.mean()
    if abs(mean) < _ROUNDING * hidden.std():  # of an untrained encoder
        return weighted
    return weighted * (mean / weighted.mean())
