"""The noise that a cell starts from, as stable-diffusion-webui defines its variations.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/rng.py (ImageRNG.first, slerp), version 1.10.
It draws on the GPU unless told otherwise; we draw on the CPU, so that every device draws the same.
"""

from __future__ import annotations

import torch

from sdviz.plan.settings import Recipe

Shape = tuple[int, int, int]  # channels, rows, columns
_FLAT = 1e-3  # sine of the angle between two columns below which there is no arc
_PARALLEL = 0.9995  # cosine above which two noises have no arc between them


def start_noise(
    recipe: Recipe, shape: Shape, generator: torch.Generator, *, factor: int = 8
) -> torch.Tensor:
    """(1, *shape), standard normal, out of `generator`, which is the cell's own.

    With `noise_seed` out of that seed's instead. `factor` is the number of pixels that one latent
    pixel stands for; `seed_resize` is in pixels.
    """
    if recipe.noise_seed is not None:
        generator = torch.Generator("cpu").manual_seed(recipe.noise_seed)
    drawn_for = _resized(shape, recipe.seed_resize, factor)
    seed = recipe.seed if recipe.noise_seed is None else recipe.noise_seed
    if drawn_for == shape:
        noise = torch.randn((1, *shape), generator=generator)
    else:
        noise = _draw(seed, drawn_for)
    if recipe.variation_strength:
        other = _draw(recipe.variation_seed, drawn_for)
        noise = slerp(recipe.variation_strength, noise, other)
    if drawn_for != shape:
        noise = _centred(noise, torch.randn((1, *shape), generator=generator))
    return noise


def slerp(share: float, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """From `low` (share 0) to `high` (share 1) along the arc between them; both (1, c, h, w).

    The arc is taken between columns: for each channel and column the vector of its h rows.
    Nearly parallel noises are mixed linearly.
    """
    unit_low = low / low.norm(dim=2, keepdim=True)
    unit_high = high / high.norm(dim=2, keepdim=True)
    cosine = (unit_low * unit_high).sum(2, keepdim=True)
    if cosine.mean() > _PARALLEL:
        return (1 - share) * low + share * high
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    arc = (torch.sin((1 - share) * angle) * low + torch.sin(share * angle) * high) / sine
    # Between columns along one line, as all of one row are, there is no arc.
    return torch.where(sine > _FLAT, arc, (1 - share) * low + share * high)


def _draw(seed: int, shape: Shape) -> torch.Tensor:
    return torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(seed))


def _resized(shape: Shape, size: str, factor: int) -> Shape:
    """The latent shape of `size` ("512x768", pixels); `shape` where there is none."""
    if not size:
        return shape
    width, height = map(int, size.split("x"))
    return shape[0], height // factor, width // factor


def _centred(noise: torch.Tensor, ground: torch.Tensor) -> torch.Tensor:
    """`ground` with the middle of `noise` in its middle, as much of it as there is room for."""
    out = ground.clone()
    places = []
    for axis in (2, 3):
        room, size = out.shape[axis], noise.shape[axis]
        # Half of an odd rest is rounded down, also below zero.
        shift = (room - size) // 2
        length = size if shift >= 0 else size + 2 * shift
        places.append((max(shift, 0), max(-shift, 0), length))
    (top, from_top, h), (left, from_left, w) = places
    out[:, :, top : top + h, left : left + w] = noise[
        :, :, from_top : from_top + h, from_left : from_left + w
    ]
    return out
