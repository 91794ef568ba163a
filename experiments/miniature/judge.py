"""The judge: a small classifier that reads the facts off a picture, trained on drawn pictures."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.miniature.autoencoder import to_tensor
from experiments.miniature.clip import FACTS, Heads, labels_of
from experiments.miniature.live import Live
from experiments.miniature.paint import draw
from experiments.miniature.training import Budget, Stage, fit
from experiments.miniature.world import Scene, random_scene

READ = ("kind", "colour", "count", "ground", "sky", "light")  # the six that are measured


class Judge(nn.Module):
    """A convolutional network on pictures of half the size, with a head for every fact."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for grown in (width, 2 * width, 4 * width, 4 * width):
            layers += [
                nn.Conv2d(channels, grown, 3, 2 if channels > 3 else 1, 1, bias=False),
                nn.BatchNorm2d(grown),
                nn.ReLU(),
                nn.Conv2d(grown, grown, 3, 1, 1, bias=False),
                nn.BatchNorm2d(grown),
                nn.ReLU(),
            ]
            channels = grown
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2))
        self.heads = Heads(channels * 16)

    def features(self, images: Tensor) -> Tensor:
        """Images (n, 3, 128, 128) in -1..1 as (n, features)."""
        return self.body(F.avg_pool2d(images, 2))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The loss."""
        return self.heads(self.features(images), labels)

    @torch.no_grad()
    def read(self, pictures: np.ndarray, batch: int = 64) -> Tensor:
        """The facts of pictures (uint8) as the numbers of their values: int64 (n, facts)."""
        rows = []
        for start in range(0, len(pictures), batch):
            x = self.features(to_tensor(pictures[start : start + batch]))
            rows.append(torch.stack([head(x).argmax(-1) for head in self.heads.heads], 1))
        return torch.cat(rows)


def roughened(images: Tensor) -> Tensor:
    """Images with a random blur, gain and a little noise: the judge must not need perfect edges."""
    small = F.avg_pool2d(images, 2)
    soft = F.interpolate(small, scale_factor=2, mode="bilinear")
    share = torch.rand(len(images), 1, 1, 1)
    images = images + share * (soft - images)
    images = images * (0.9 + 0.2 * torch.rand(len(images), 1, 1, 1))
    return images + 0.03 * torch.randn_like(images)


def train_judge(count: int, budget: Budget, work: Path, live: Live) -> Judge:
    """Trains on scenes of its own, held out combinations included, drawn for it alone."""
    torch.manual_seed(1)
    judge = Judge()
    stage = Stage("judge", judge, budget)
    if stage_done(stage, work):
        return judge.eval()
    rng = random.Random("judge")
    scenes = [random_scene(rng) for _ in range(count)]
    pictures = np.stack([draw(scene) for scene in scenes])
    labels = labels_of(scenes)

    def loss_of() -> Tensor:
        rows = np.random.randint(0, count, budget.batch)
        images = roughened(to_tensor(pictures[rows]))
        images = images.flip(3) if np.random.rand() < 0.5 else images
        with torch.autocast("cpu", torch.bfloat16):
            return judge(images, labels[rows])

    fit(stage, loss_of, work, live)
    return judge.eval()


def stage_done(stage: Stage, work: Path) -> bool:
    """Whether the checkpoint has spent its budget; loads it if there is one."""
    stage.load(work / f"{stage.name}.pt")
    return stage.progress >= 1


def right(judge: Judge, pictures: np.ndarray, scenes: Sequence[Scene]) -> dict[str, float]:
    """The share of pictures on which each fact is read as the scene says, and all six at once."""
    hits = (judge.read(pictures) == labels_of(scenes)).numpy()
    names = list(FACTS)
    shares = {fact: float(hits[:, names.index(fact)].mean()) for fact in READ}
    columns = [names.index(fact) for fact in READ]
    return {**shares, "all six": float(hits[:, columns].all(1).mean())}
