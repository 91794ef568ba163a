"""Text encodings, each computed once and kept while it may be wanted again."""

from __future__ import annotations

from collections import OrderedDict

from sdviz.models.denoiser import Conditioning, Denoiser, Text
from sdviz.plan import Recipe

_KEPT = 256  # encodings; 60 MB for Stable Diffusion 1 in float32


class Encoder:
    """What each cell rides with, encoded by the denoiser's own text encoder."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self._encoded: OrderedDict[Text, Conditioning] = OrderedDict()

    def conditioning(self, recipe: Recipe) -> list[Conditioning]:
        """(negative, prompt), or (prompt,) without guidance."""
        prompt, negative = self._denoiser.texts(recipe)
        return [self._encode(text) for text in (negative, prompt) if text is not None]

    def _encode(self, text: Text) -> Conditioning:
        if text not in self._encoded:
            self._encoded[text] = self._denoiser.encode([text])[0]
        self._encoded.move_to_end(text)
        while len(self._encoded) > _KEPT:
            self._encoded.popitem(last=False)
        return self._encoded[text]
