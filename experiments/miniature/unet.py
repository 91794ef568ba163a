"""The UNet: learns to predict v of noisy latents, from the text encoder's words."""

import logging
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from experiments.miniature.clip import token_ids
from experiments.miniature.data import caption_of
from experiments.miniature.live import Live
from experiments.miniature.training import Budget, Stage, fit
from experiments.miniature.world import SIZE

log = logging.getLogger(__name__)

#: Stable Diffusion 1's noise schedule.
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
PREDICTION = "v_prediction"
SNR_CAP = 5.0  # min-SNR weighting, Hang et al. 2023, section 3.4
LEAN = 0.75  # below 1, more of the training's timesteps have much noise


def unet_model(widths: list[int], heads: list[int], text_width: int) -> UNet2DConditionModel:
    """Stable Diffusion's UNet with three levels: 16x16, 8x8, 4x4; words enter at the first two."""
    return UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=tuple(widths),
        attention_head_dim=tuple(heads),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=text_width,
        norm_num_groups=32,
    )


def signal() -> Tensor:
    """The share of signal left at each training timestep (alpha-bar): float (1000,)."""
    return DDIMScheduler(**SCHEDULE).alphas_cumprod


def loss_weights(alphas: Tensor) -> Tensor:
    """min(SNR + 1, cap) / (SNR + 1) at each timestep, for the squared error of v.

    As weights of the error of x0 they are min(SNR + 1, cap). Those of min-SNR, min(SNR, cap), are
    0.005 at timestep 999, and few-step samplers pay for that.
    """
    signal_to_noise = alphas / (1 - alphas)
    return (signal_to_noise + 1).clamp(max=SNR_CAP) / (signal_to_noise + 1)


def training_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """Timesteps of a batch: int64 (count,), in any order.

    One from each of `count` equal stretches of probability: less variance than independent ones.
    """
    shares = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    total = SCHEDULE["num_train_timesteps"]
    steps = (shares**LEAN * total).long().clamp(max=total - 1)  # rounding makes some shares 1
    return steps[torch.randperm(count, generator=generator)]


def velocity(clean: Tensor, noise: Tensor, alphas: Tensor) -> Tensor:
    """v = sqrt(alpha-bar) noise - sqrt(1 - alpha-bar) x0 (Salimans and Ho 2022, appendix D)."""
    return alphas.sqrt() * noise - (1 - alphas).sqrt() * clean


class Words:
    """Hidden states of captions by the frozen text encoder."""

    def __init__(self, encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        self.encoder, self.tokenizer = encoder.eval().requires_grad_(False), tokenizer

    def __call__(self, texts: list[str]) -> Tensor:
        """float (n, 77, width), as the pipeline feeds the UNet."""
        with torch.no_grad():
            return self.encoder(token_ids(self.tokenizer, texts)).last_hidden_state.float()


def train_unet(
    unet: UNet2DConditionModel,
    words: Words,
    latents: np.ndarray,
    scale: float,
    drop: float,
    budget: Budget,
    work: Path,
    live: Live,
    sample: Callable[[UNet2DConditionModel], np.ndarray],
) -> Stage:
    """v-prediction, with captions dropped at the rate `drop` for classifier-free guidance."""
    unet.set_attn_processor(AttnProcessor())  # 1.4 times the speed of the fused one on a CPU
    stage = Stage("unet", unet, budget)
    alphas = signal()
    weights = loss_weights(alphas)
    generator = torch.Generator()

    def loss_of() -> Tensor:
        rows = np.random.randint(0, len(latents), budget.batch)
        clean = torch.from_numpy(latents[rows]).float() * scale
        rng = random.Random(int(np.random.randint(1 << 31)))
        texts = ["" if rng.random() < drop else caption_of(int(row), rng) for row in rows]
        generator.manual_seed(int(np.random.randint(1 << 31)))
        steps = training_timesteps(len(rows), generator)
        noise = torch.randn(clean.shape, generator=generator)
        a = alphas[steps].view(-1, 1, 1, 1)
        noisy = a.sqrt() * clean + (1 - a).sqrt() * noise
        with torch.autocast("cpu", torch.bfloat16):
            guess = stage.model(noisy, steps, words(texts)).sample
        error = F.mse_loss(guess.float(), velocity(clean, noise, a), reduction="none")
        return (error.mean((1, 2, 3)) * weights[steps]).mean()

    def show() -> None:
        live.pictures("unet", sample(stage.best), 8, f"step {stage.step}, CFG 5")

    fit(stage, loss_of, work, live, show)
    return stage


@torch.no_grad()
def denoise(
    unet: UNet2DConditionModel,
    words: Words,
    prompts: list[str],
    seeds: list[int],
    *,
    cfg: float = 5.0,
    steps: int = 30,
    negatives: list[str] | None = None,
    scheduler: object | None = None,
    fast: bool = True,
) -> Tensor:
    """Latents of prompts by a diffusers scheduler (DDIM if none is given): (n, 4, 16, 16)."""
    scheduler = scheduler or DDIMScheduler(
        **SCHEDULE,
        prediction_type=PREDICTION,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    scheduler.set_timesteps(steps)
    side = SIZE // 8
    x = (
        torch.stack(
            [
                torch.randn(4, side, side, generator=torch.Generator().manual_seed(seed))
                for seed in seeds
            ]
        )
        * scheduler.init_noise_sigma
    )
    context = torch.cat([words(negatives or [""] * len(prompts)), words(prompts)])
    generators = [torch.Generator().manual_seed(seed + 1) for seed in seeds]
    extra = {"generator": generators} if "generator" in scheduler.step.__code__.co_varnames else {}
    for t in scheduler.timesteps:
        model_in = scheduler.scale_model_input(x, t)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            if cfg == 1.0:
                guess = unet(model_in, t, context[len(prompts) :]).sample.float()
            else:
                both = unet(torch.cat([model_in, model_in]), t, context).sample.float()
                empty, told = both.chunk(2)
                guess = empty + cfg * (told - empty)
        x = scheduler.step(guess, t, x, **extra).prev_sample
    return x
