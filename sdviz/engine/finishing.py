"""What becomes of a finished picture before anyone is told of it: safety checker and watermark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from sdviz.models.addons import watermark
from sdviz.models.addons.checks import find_checker
from sdviz.models.addons.safety import SafetyChecker
from sdviz.pictures.pixels import Pixels
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe

_NOTES = {
    "mark": "flagged by the safety checker",
    "blur": "flagged by the safety checker, and blurred",
    "black": "flagged by the safety checker, and blacked out",
}
_LEGIBLE = 36  # bits: chance has as many in one picture of two thousand
_BLUR = 16  # of the longer side: what a picture was about can no longer be told


@dataclass(frozen=True)
class Finished:
    pixels: Pixels
    notes: tuple[str, ...] = ()


class Finisher:
    """Does to a picture what its recipe asks for; loads for it what it needs, once."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        self._spec = spec
        self._device = device
        self._checker: SafetyChecker | None = None

    def finish(self, recipe: Recipe, pixels: Pixels) -> Finished:
        """The picture to keep, and what to say of it. Raises ModelError."""
        notes: tuple[str, ...] = ()
        if recipe.safety != "none" and self._flags(pixels):
            notes = (_NOTES[recipe.safety],)
            pixels = _hidden(pixels, recipe.safety)
        if recipe.watermark:
            pixels = watermark.put(pixels)
            if (bits := watermark.legible(pixels)) < _LEGIBLE:
                notes += (f"the watermark is hard to read: {bits} of its 48 bits are present",)
        return Finished(pixels, notes)

    def _flags(self, pixels: Pixels) -> bool:
        self._checker = self._checker or SafetyChecker(find_checker(self._spec), self._device)
        return self._checker.flags(pixels)


def _hidden(pixels: Pixels, how: str) -> Pixels:
    if how == "black":
        return np.zeros_like(pixels)
    if how == "blur":
        radius = max(pixels.shape[:2]) // _BLUR
        return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))
    return pixels
