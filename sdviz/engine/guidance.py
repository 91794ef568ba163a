"""The arithmetic of a tick, on all of its rows at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from sdviz.engine.track import Track
from sdviz.models.denoiser import Conditioning
from sdviz.models.families import schedulers


@dataclass(frozen=True)
class Rows:
    """What one forward of the denoiser takes, and what brings its rows back to n tracks."""

    x: torch.Tensor  # (n, c, h, w), one a track, variance-preserving
    sigma: torch.Tensor  # (n, 1, 1, 1)
    scale: torch.Tensor  # (n, 1, 1, 1): CFG scale
    rescale: torch.Tensor  # (n, 1, 1, 1): guidance_rescale
    timesteps: torch.Tensor  # (rows,)
    owners: torch.Tensor  # (rows,): the track of each row
    unconditional: torch.Tensor  # (n,): row of each track's unconditional prediction
    conditional: torch.Tensor  # (n,): the same row without guidance
    conditioning: Sequence[Conditioning]  # one a row
    alike: Sequence[int]  # of each row the first that has the same prediction, itself mostly

    @property
    def inputs(self) -> torch.Tensor:
        """(rows, c, h, w)"""
        return self.x[self.owners]

    @property
    def distinct(self) -> list[int]:
        """The rows that a prediction is needed for."""
        return list(dict.fromkeys(self.alike))

    def batches(self, size: int) -> list[list[int]]:
        """Rows that fit into one forward: texts of one length, `size` at most, each row once."""
        by_length: dict[tuple[torch.Size, ...], list[int]] = {}
        for row in self.distinct:
            shapes = tuple(tensor.shape for tensor in self.conditioning[row].values())
            by_length.setdefault(shapes, []).append(row)
        return [
            rows[i : i + size] for rows in by_length.values() for i in range(0, len(rows), size)
        ]


Look = tuple[torch.Tensor, float]  # as Track.look


def expand(tracks: Sequence[Track], looks: Sequence[Look]) -> Rows:
    """One row a track without guidance, two with: negative, prompt."""
    counts = torch.tensor([track.rows for track in tracks])
    last = counts.cumsum(0) - 1
    timesteps = torch.stack([track.timestep.to(torch.float32) for track in tracks])
    return Rows(
        x=torch.cat([x for x, _ in looks]),
        sigma=_column([sigma for _, sigma in looks]),
        scale=_column([track.cell.recipe.cfg for track in tracks]),
        rescale=_column([track.cell.recipe.guidance_rescale for track in tracks]),
        timesteps=timesteps.repeat_interleave(counts),
        owners=torch.arange(len(tracks)).repeat_interleave(counts),
        unconditional=last - counts + 1,
        conditional=last,
        conditioning=[row for track in tracks for row in track.conditioning],
        alike=_alike(tracks, [x for x, _ in looks]),
    )


def _alike(tracks: Sequence[Track], looks: Sequence[torch.Tensor]) -> list[int]:
    """As Rows.alike. Cells of one seed begin alike, whatever their CFG scale, and then part."""
    first: dict[Hashable, int] = {}
    alike: list[int] = []
    for track, x in zip(tracks, looks, strict=True):
        look: Hashable = track.cell.index
        if track.evaluation == 0:
            look = x.numpy().tobytes(), float(track.timestep)
        for conditioning in track.conditioning:
            alike.append(first.setdefault((look, id(conditioning)), len(alike)))
    return alike


def guide(prediction: torch.Tensor, rows: Rows) -> tuple[torch.Tensor, list[float | None]]:
    """Classifier-free guidance (Ho and Salimans 2022): u + scale (c - u), from (rows, c, h, w).

    Returns the guided prediction (n, c, h, w) and the root mean square of c - u, None without
    guidance.
    """
    unconditional, conditional = prediction[rows.unconditional], prediction[rows.conditional]
    difference = conditional - unconditional
    strength = difference.square().mean((1, 2, 3)).sqrt().tolist()
    guided = rows.unconditional != rows.conditional
    result = unconditional + rows.scale * difference
    if rows.rescale.any():
        share = torch.where(guided[:, None, None, None], rows.rescale, 0.0)
        result = torch.where(share > 0, _rescaled(result, conditional, share), result)
    return result, [
        rms if two else None for rms, two in zip(strength, guided.tolist(), strict=True)
    ]


def _rescaled(guided: torch.Tensor, conditional: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """`share` of the guided prediction at the contrast of the prompt's own.

    Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", section 3.4.
    """
    own, high = (x.std(dim=(1, 2, 3), keepdim=True) for x in (conditional, guided))
    return share * (guided * (own / high)) + (1 - share) * guided


def denoised(prediction: torch.Tensor, rows: Rows, prediction_type: str) -> torch.Tensor:
    """x0 (n, c, h, w): the clean latent that the guided prediction stands for."""
    return schedulers.clean(rows.x, prediction, rows.sigma, prediction_type)


def noise(x0: torch.Tensor, rows: Rows) -> torch.Tensor:
    """The noise (n, c, h, w) that x holds if `x0` is its clean latent."""
    alpha, beta = schedulers.shares(rows.sigma)
    return (rows.x - alpha * x0) / beta


def _column(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)
