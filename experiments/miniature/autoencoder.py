"""The autoencoders: AutoencoderKL, 8x down to 4 channels, and AutoencoderTiny on its latents."""

import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.miniature.live import Live
from experiments.miniature.training import Budget, Stage, fit
from experiments.miniature.world import SIZE

log = logging.getLogger(__name__)

CROP = 64  # pixels: the first half of the training sees crops, the second whole pictures


def autoencoder(widths: list[int], layers: int, groups: int) -> AutoencoderKL:
    """Stable Diffusion's autoencoder, slim where the pictures are large."""
    blocks = len(widths)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=SIZE,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=tuple(widths),
        layers_per_block=layers,
        norm_num_groups=groups,
        mid_block_add_attention=False,
    )


def tiny_autoencoder(width: int, blocks: list[int]) -> AutoencoderTiny:
    """A small autoencoder whose latents are the UNet's, as TAESD's are.

    `blocks` are the decoder's at 16, 32, 64 and 128 pixels: those at the end cost most.
    """
    return AutoencoderTiny(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        scaling_factor=1.0,
        encoder_block_out_channels=(width,) * 4,
        decoder_block_out_channels=(width,) * 4,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=tuple(blocks),
    )


def to_tensor(pictures: np.ndarray) -> Tensor:
    """uint8 (n, h, w, 3) as float (n, 3, h, w) in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2) / 127.5 - 1


def to_pictures(images: Tensor) -> np.ndarray:
    """Float (n, 3, h, w) in -1..1 as uint8 (n, h, w, 3)."""
    bytes_ = ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return bytes_.permute(0, 2, 3, 1).numpy()


def batch_of(pictures: np.ndarray, count: int, crop: int) -> Tensor:
    """Random pictures, flipped at random; or four times as many random crops of them."""
    rows = np.sort(np.random.randint(0, len(pictures), count))
    images = to_tensor(pictures[rows])
    if crop < SIZE:
        cut = []
        for image in images.repeat_interleave((SIZE // crop) ** 2, 0):
            y, x = np.random.randint(0, SIZE - crop + 1, 2)
            cut.append(image[:, y : y + crop, x : x + crop])
        images = torch.stack(cut)
    return images.flip(3) if np.random.rand() < 0.5 else images


def slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Differences between neighbours, across and down."""
    return images[..., :, 1:] - images[..., :, :-1], images[..., 1:, :] - images[..., :-1, :]


def edges(images: Tensor) -> Tensor:
    """Weights (n, 1, h, w), 1 in flat places and up to 4 at edges and on small objects."""
    across, down = slopes(images)
    steep = F.pad(across.abs(), (0, 1)) + F.pad(down.abs(), (0, 0, 0, 1))
    near = F.max_pool2d(steep.amax(1, keepdim=True), 5, 1, 2)
    return 1 + 3 * (near * 2).clamp(max=1)


def picture_loss(made: Tensor, images: Tensor) -> Tensor:
    """L1 and squared error, both heavier at edges, and the error of the slopes."""
    weight = edges(images)
    error = made - images
    loss = (error.abs() * weight).mean() + 2 * (error.square() * weight).mean()
    for a, b in zip(slopes(made), slopes(images), strict=True):
        loss = loss + (a - b).abs().mean()
    return loss


def psnr(made: np.ndarray, pictures: np.ndarray) -> float:
    """Peak signal to noise in dB, from the mean square error over all pictures (uint8)."""
    error = made.astype(np.float32) - pictures.astype(np.float32)
    return float(10 * np.log10(255**2 / np.mean(error**2)))


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pictures: np.ndarray, batch: int = 16) -> np.ndarray:
    """Pictures through the autoencoder and back, by its latents' means."""
    made = []
    for start in range(0, len(pictures), batch):
        images = to_tensor(pictures[start : start + batch])
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(images).latent_dist.mean
            made.append(to_pictures(vae.decode(latents).sample))
    return np.concatenate(made)


def train_autoencoder(
    vae: AutoencoderKL,
    pictures: np.ndarray,
    fresh: np.ndarray,
    budget: Budget,
    kl: float,
    work: Path,
    live: Live,
) -> Stage:
    """Trains encoder and decoder together; sets the scaling factor from the latents' spread."""
    stage = Stage("autoencoder", vae, budget)

    def loss_of() -> Tensor:
        images = batch_of(pictures, budget.batch, CROP if stage.progress < 0.45 else SIZE)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(images).latent_dist
            made = vae.decode(posterior.sample()).sample
        spread = (
            0.5
            * (
                posterior.mean.float().square()
                + posterior.var.float()
                - 1
                - posterior.logvar.float()
            ).mean()
        )
        return picture_loss(made.float(), images) + kl * spread

    def show() -> None:
        made = reconstruct(vae, fresh)
        log.info("autoencoder %d: %.2f dB on fresh pictures", stage.step, psnr(made, fresh))
        both = np.concatenate([fresh[:8], made[:8], fresh[8:16], made[8:16]])
        live.pictures("autoencoder", both, 8, "drawn above, reconstructed below")

    fit(stage, loss_of, work, live, show)
    return stage


@torch.no_grad()
def latent_mean(vae: AutoencoderKL, pictures: np.ndarray, batch: int = 32) -> np.ndarray:
    """The means of the latents of uint8 pictures, unscaled: float16 (n, 4, 16, 16)."""
    means = []
    for start in range(0, len(pictures), batch):
        images = to_tensor(pictures[start : start + batch])
        with torch.autocast("cpu", torch.bfloat16):
            means.append(vae.encode(images).latent_dist.mean.half().numpy())
    return np.concatenate(means)


class Decoder(nn.Module):
    """The decoding half of an autoencoder, to train it alone."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.first, self.rest = vae.post_quant_conv, vae.decoder

    def forward(self, latents: Tensor) -> Tensor:
        """Latents, unscaled, as images in -1..1."""
        return self.rest(self.first(latents))


def refine_decoder(
    vae: AutoencoderKL,
    pictures: np.ndarray,
    latents: np.ndarray,
    fresh: np.ndarray,
    budget: Budget,
    work: Path,
    live: Live,
) -> Stage:
    """Trains the decoder on, with the latents as they are: no UNet needs to be trained anew."""
    stage = Stage("decoder", Decoder(vae), budget)

    def loss_of() -> Tensor:
        rows = np.sort(np.random.randint(0, len(pictures), budget.batch))
        found = torch.from_numpy(latents[rows]).float()
        found = found + 0.03 * torch.randn_like(found)  # a hundredth of their spread
        with torch.autocast("cpu", torch.bfloat16):
            made = stage.model(found)
        return picture_loss(made.float(), to_tensor(pictures[rows]))

    def show() -> None:
        made = reconstruct(vae, fresh)
        log.info("decoder %d: %.2f dB on fresh pictures", stage.step, psnr(made, fresh))

    fit(stage, loss_of, work, live, show)
    return stage


def train_tiny(
    tiny: AutoencoderTiny,
    pictures: np.ndarray,
    latents: np.ndarray,
    scale: float,
    budget: Budget,
    work: Path,
    live: Live,
) -> Stage:
    """Teaches the tiny decoder the pictures, and the tiny encoder the large one's latents."""
    stage = Stage("tiny", tiny.to(memory_format=torch.channels_last), budget)

    def loss_of() -> Tensor:
        rows = np.sort(np.random.randint(0, len(pictures), budget.batch))
        images = to_tensor(pictures[rows])
        wanted = torch.from_numpy(latents[rows]).float() * scale
        # What it will see are guesses of a latent, never quite on the mark.
        near = wanted + 0.02 * torch.randn_like(wanted)
        with torch.autocast("cpu", torch.bfloat16):
            made = tiny.decode(near).sample
            # Previews need the decoder alone: the encoder gets by with a quarter of the pictures.
            few = max(1, len(rows) // 4)
            guessed = tiny.encode(images[:few]).latents
        missed = F.mse_loss(guessed.float(), wanted[:few])
        return picture_loss(made.float(), images) + 0.1 * missed

    fit(stage, loss_of, work, live)
    return stage


def parameters(model: nn.Module) -> int:
    """How many parameters a model has."""
    return sum(p.numel() for p in model.parameters())
