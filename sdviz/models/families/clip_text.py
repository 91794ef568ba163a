"""CLIP's text encoder, with the weights and chunks of prompts, and layers left out (clip skip)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from sdviz.models.addons import embeddings
from sdviz.models.denoiser import Text
from sdviz.plan import prompts
from sdviz.plan.prompts import Piece, word_sign

_ROUNDING = 1e-6  # a mean this small, in standard deviations, is an error of rounding


class ClipText:
    """A tokenizer with its encoder; a text of n chunks takes n times 77 tokens."""

    def __init__(
        self,
        tokenizer: Any,
        encoder: Any,
        *,
        part: int = 0,
        penultimate: bool = False,
        trust_pickle: bool = False,
    ) -> None:
        """`part`: the encoder's number in its family. `penultimate`: the family takes the last
        layer but one, as it is (Stable Diffusion XL); otherwise it is the last, through the final
        layer norm. `trust_pickle` is for embeddings.
        """
        self.tokenizer = tokenizer
        self.encoder = encoder
        self._part = part
        self._penultimate = penultimate
        self._trust_pickle = trust_pickle
        self._learnt: list[torch.Tensor] = []  # (width,) of the present text; see `_pieces`
        self._comma = tokenizer.get_vocab().get(",</w>")

    def encode(self, text: Text) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(hidden states (tokens, width), pooled text (width,) where the encoder projects one)."""
        if text.emphasis == "none":
            return self._states(self._cut(text.prompt), text.clip_skip)
        states = []
        for chunk in self._chunks(text):
            hidden, pooled = self._states(self._marked(chunk.ids), text.clip_skip)
            states.append((emphasised(hidden, chunk.weights), pooled))
        return torch.cat([hidden for hidden, _ in states]), states[0][1]

    def _chunks(self, text: Text) -> list[prompts.Chunk]:
        self._learnt = []
        pieces = prompts.parse(text.prompt)
        return prompts.chunks(list(self._pieces(pieces, text.embedding)), self._comma)

    def _pieces(
        self, pieces: Sequence[Piece], embedding: str
    ) -> Iterator[tuple[Piece, Sequence[int]]]:
        """Pieces with their token ids; the vectors of embeddings have -1, -2, ... in their place,
        by their places in `_learnt`.
        """
        files = embeddings.files(embedding) if embedding else {}
        words = {word.lower(): file for word, file in files.items()}
        for piece in pieces:
            end = 0
            for found in word_sign(*words).finditer(piece.text) if words else ():
                yield self._plain(piece, piece.text[end : found.start()])
                file, trust = words[found[1].lower()], self._trust_pickle
                rows = embeddings.vectors(file, self._part, trust_pickle=trust)
                first = len(self._learnt) + 1
                self._learnt += rows
                yield replace(piece, is_whole=True), range(-first, -first - len(rows), -1)
                end = found.end()
            yield self._plain(piece, piece.text[end:])

    def _plain(self, piece: Piece, text: str) -> tuple[Piece, Sequence[int]]:
        words = self.tokenizer(text, add_special_tokens=False, truncation=False)
        return piece, words.input_ids

    def _marked(self, ids: tuple[int, ...]) -> list[int]:
        """Begin, text, end, and padding up to 77."""
        words = self.tokenizer
        marked = [words.bos_token_id, *ids, words.eos_token_id]
        return marked + [words.pad_token_id] * (prompts.CHUNK + 2 - len(marked))

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
        row = torch.tensor([[max(i, 0) for i in ids]], device=encoder.device)
        mask = None
        if getattr(encoder.config, "use_attention_mask", False):
            mask = (torch.arange(len(ids)) <= ids.index(self.tokenizer.eos_token_id)).long()
            mask = mask[None].to(encoder.device)
        layers = self._penultimate or clip_skip > 1
        with self._inverted(ids):
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

    @contextlib.contextmanager
    def _inverted(self, ids: Sequence[int]) -> Iterator[None]:
        """While it lasts, the encoder reads a learnt vector where an id stands for one."""
        places = [at for at, number in enumerate(ids) if number < 0]
        if not places:
            yield
            return
        learnt = torch.stack([self._learnt[-ids[at] - 1] for at in places])

        def exchange(_: Any, __: Any, read: torch.Tensor) -> torch.Tensor:
            read = read.clone()
            read[0, places] = learnt.to(read)
            return read

        hook = self.encoder.get_input_embeddings().register_forward_hook(exchange)
        try:
            yield
        finally:
            hook.remove()


def emphasised(hidden: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Hidden states (77, width) multiplied by the tokens' weights, their mean as it was before.

    stable-diffusion-webui's emphasis "Original" (modules/sd_emphasis.py); the marks weigh 1.
    """
    if all(weight == 1 for weight in weights):
        return hidden
    rest = [1.0] * (len(hidden) - 1 - len(weights))
    own = hidden.float()  # a mean in half precision is off by up to half a percent
    factors = torch.tensor([1.0, *weights, *rest], device=hidden.device)
    weighted = own * factors[:, None]
    mean = own.mean()
    if abs(mean) >= _ROUNDING * own.std():  # not of an untrained encoder
        weighted = weighted * (mean / weighted.mean())
    return weighted.to(hidden.dtype)
