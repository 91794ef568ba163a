"""What other models say of a finished picture: CLIP score, aesthetic score, a caption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    AutoTokenizer,
    BlipForConditionalGeneration,
    CLIPModel,
    CLIPTokenizer,
)
from transformers.utils import logging

from sdviz.errors import ModelError
from sdviz.plan import prompts

Pixels = NDArray[np.uint8]  # (height, width, 3)
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the pictures that CLIP and BLIP have learnt from
_STD = (0.26862954, 0.26130258, 0.27577711)
_LONGEST_CAPTION = 40  # tokens


class Clip:
    """A CLIP (Radford et al. 2021): pictures and texts as unit vectors of one space."""

    def __init__(self, folder: Path, device: str) -> None:
        """`folder` may go without a tokenizer, if tokenizer/ beside it has one, as in a model."""
        self._device = device
        self._model: Any = loaded(CLIPModel, folder, "score_clip", device)
        own = any((folder / name).is_file() for name in ("vocab.json", "tokenizer.json"))
        words = folder if own else folder.parent / "tokenizer"
        self._tokenizer: Any = loaded(CLIPTokenizer, words, "score_clip")
        self._side = int(self._model.config.vision_config.image_size)
        self.width = int(self._model.config.projection_dim)  # of its vectors

    @torch.inference_mode()
    def score(self, prompt: str, pixels: Pixels) -> float:
        """100 max(cosine, 0) between prompt and picture (Hessel et al. 2021), 0..100.

        The prompt counts without its weights; what is beyond 77 tokens does not.
        """
        text = " ".join(piece.text for piece in prompts.parse(prompt)).strip()
        return 100 * max(0.0, float(self._text(text) @ self.picture(pixels)))

    @torch.inference_mode()
    def picture(self, pixels: Pixels) -> torch.Tensor:
        """The picture's unit vector (d,)."""
        image = seen(pixels, self._side).to(self._device)
        states = self._model.vision_model(image).pooler_output
        return _unit(self._model.visual_projection(states)[0])

    def _text(self, text: str) -> torch.Tensor:
        words = self._tokenizer(text, truncation=True, return_tensors="pt").to(self._device)
        states = self._model.text_model(**words).pooler_output
        return _unit(self._model.text_projection(states)[0])


class Aesthetic:
    """LAION's first aesthetic predictor: a linear map of CLIP's unit vector to about 1..10."""

    def __init__(self, file: Path, clip: Clip) -> None:
        self._clip = clip
        self._weight, self._bias = _head(file)
        if len(self._weight) != clip.width:
            raise ModelError(
                f"score_aesthetic={file}: takes {len(self._weight)} numbers, but CLIP gives "
                f"{clip.width}; set score_clip= to the CLIP that it was trained on",
                key="score_aesthetic",
            )

    def score(self, pixels: Pixels) -> float:
        """How the picture pleases, about 1..10."""
        vector = self._clip.picture(pixels).float().cpu()
        return float(self._weight @ vector + self._bias)


class Captioner:
    """BLIP (Li et al. 2022): a picture in words."""

    def __init__(self, folder: Path, device: str) -> None:
        self._device = device
        self._model: Any = loaded(BlipForConditionalGeneration, folder, "caption", device)
        self._tokenizer: Any = loaded(AutoTokenizer, folder, "caption")
        self._side = int(self._model.config.vision_config.image_size)

    @torch.inference_mode()
    def caption(self, pixels: Pixels) -> str:
        """One sentence; the most likely word each time, so that a picture has one caption."""
        image = Image.fromarray(pixels).resize((self._side, self._side), Image.Resampling.BICUBIC)
        ids = self._model.generate(
            pixel_values=_normalised(image).to(self._device),
            max_new_tokens=_LONGEST_CAPTION,
            do_sample=False,
        )
        text: str = self._tokenizer.decode(ids[0], skip_special_tokens=True)
        return text.strip()


def loaded(cls: Any, folder: Path, key: str, device: str = "cpu") -> Any:
    """A model or tokenizer for inference; ModelError, which names `key`, if it cannot be read or
    `device` has no room for it.
    """
    logging.disable_progress_bar()
    try:
        made = cls.from_pretrained(folder, local_files_only=True)
        if isinstance(made, torch.nn.Module):
            made.to(device).eval().requires_grad_(False)
        return made
    except Exception as error:  # whatever the files make it raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{key}: {folder} cannot be loaded: {reason}", key=key) from error


def _head(file: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(weight (d,), bias ()) of a linear layer; a .pth is read without running code."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors: dict[str, torch.Tensor] = load_file(file)
        else:
            tensors = torch.load(file, map_location="cpu", weights_only=True)
        weight, bias = tensors["weight"].float(), tensors["bias"].float()
        return weight.reshape(-1), bias.reshape(())
    except Exception as error:  # pickles and tensors of any kind: whatever is wrong is told
        raise ModelError(
            f"score_aesthetic={file}: not a linear layer with weight and bias: {error}",
            key="score_aesthetic",
        ) from error


def seen(pixels: Pixels, side: int) -> torch.Tensor:
    """(1, 3, side, side): a picture as CLIP sees it, its middle square, as CLIPImageProcessor."""
    image = Image.fromarray(pixels)
    scale = side / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return _normalised(image.crop((left, top, left + side, top + side)))


def _normalised(image: Image.Image) -> torch.Tensor:
    """(1, 3, H, W)"""
    unit = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    scaled = (unit - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)
    return torch.from_numpy(scaled).permute(2, 0, 1)[None]


def _unit(vector: torch.Tensor) -> torch.Tensor:
    unit: torch.Tensor = vector / vector.norm()
    return unit
