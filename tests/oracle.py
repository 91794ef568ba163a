"""A denoiser that knows the answer: no weights, and its x0 is exact at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler

from sdviz.models.denoiser import Conditioning, Text
from sdviz.plan.settings import Recipe, is_guided
from tests.tiny import SCHEDULER


class Oracle:
    """Predicts whatever makes x0 equal to `answer`, in the model type that is asked for.

    `before` is called with each forward's rows first, so that a test can make it fail.
    """

    device = "cpu"
    convolutional: Sequence[Any] = ()
    tiny_vae = None
    unet = vae = None

    def __init__(
        self,
        prediction_type: str = "epsilon",
        *,
        dtype: torch.dtype = torch.float32,
        before: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.prediction_type = prediction_type
        self.dtype = dtype
        self.before = before
        self.scheduler_config: Mapping[str, Any] = {
            **SCHEDULER,
            "prediction_type": prediction_type,
        }
        abar = DDPMScheduler.from_config(SCHEDULER).alphas_cumprod.double()
        self._log_sigmas = ((1 - abar) / abar).sqrt().log().numpy()
        self.answer = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(5))
        self.encoded: list[Text] = []
        self.forwards: list[int] = []  # rows of each

    def texts(self, recipe: Recipe) -> tuple[Text, Text | None]:
        return Text(recipe.prompt), Text(recipe.negative) if is_guided(recipe) else None

    def encode(self, texts: Sequence[Text]) -> list[Conditioning]:
        self.encoded += texts
        return [{"encoder_hidden_states": torch.zeros(1)} for _ in texts]

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return 4, height // 8, width // 8

    def predict(
        self, x: torch.Tensor, timesteps: torch.Tensor, rows: Sequence[Conditioning]
    ) -> torch.Tensor:
        assert len(x) == len(timesteps) == len(rows)
        self.before(len(x))
        self.forwards.append(len(x))
        position = np.arange(len(self._log_sigmas))
        levels = np.exp(np.interp(timesteps.double().numpy(), position, self._log_sigmas))
        sigma = torch.from_numpy(levels).reshape(-1, 1, 1, 1)
        alpha = (sigma.square() + 1).rsqrt()
        answer = self.answer.double()
        noise = (x.double() - alpha * answer) / (sigma * alpha)
        predictions = {
            "epsilon": noise,
            "v_prediction": alpha * noise - sigma * alpha * answer,
            "sample": answer.expand_as(noise),
        }
        return predictions[self.prediction_type].float()

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3).tanh()
