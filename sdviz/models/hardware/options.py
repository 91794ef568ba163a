"""How a model is computed: with less memory, or faster. What is computed stays, within rounding."""

from __future__ import annotations

from typing import Any

import torch

from sdviz.plan.config import EngineConfig


def apply(config: EngineConfig, *, unet: Any, vae: Any) -> list[str]:
    """Sets the options on a model's parts; again on the same ones does no harm.

    `unet` is whatever denoises. Returns what could not be set, in words.
    """
    missing = []
    if config.attention_slicing and not _slice(unet):
        missing.append(f"attention_slicing: {type(unet).__name__} has none")
    if config.vae_tiling and not hasattr(vae, "enable_tiling"):
        missing.append(f"vae_tiling: {type(vae).__name__} has none")
    fit_vae(config, vae)
    if config.channels_last:
        unet.to(memory_format=torch.channels_last)
    if config.compile and unet._compiled_call_impl is None:
        unet.compile(dynamic=True)  # rows come and go: one program for every number of them
    return missing


def uncompile(unet: Any, error: BaseException) -> bool:
    """Lets a UNet go on as it was before torch.compile, if `error` is of the compiling.

    It happens at the first forward: a compiler that does not work, or headers that are missing.
    """
    if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return False
    if getattr(unet, "_compiled_call_impl", None) is None:
        return False
    unet._compiled_call_impl = None
    return True


def _slice(unet: Any) -> bool:
    """Half of an attention's heads at a time; False for what is no UNet.

    diffusers' "auto" would take none at a time of an attention with one head, as the miniature's.
    """
    if not hasattr(unet, "set_attention_slice"):
        return False
    for attention in unet.modules():
        if hasattr(attention, "sliceable_head_dim"):
            attention.set_attention_slice(max(1, attention.sliceable_head_dim // 2))
    return True


def fit_vae(config: EngineConfig, vae: Any) -> None:
    """A VAE as it is configured, whatever became of it before.

    One that memory was too small for once works in tiles since; the next cells may well have room,
    and one that a recipe has put in place of the model's own has not been seen by `apply`.
    """
    if config.vae_tiling:
        tile(vae)
    elif getattr(vae, "use_tiling", False):
        vae.disable_tiling()
    if config.channels_last and vae is not None:
        vae.to(memory_format=torch.channels_last)


def tile(vae: Any) -> bool:
    """Lets a VAE work in tiles, with less memory; False if it does already, or cannot."""
    if getattr(vae, "use_tiling", False) or not hasattr(vae, "enable_tiling"):
        return False
    vae.enable_tiling()
    return True


_WORDS = (
    *("not enough memory", "out of memory", "can't allocate"),
    *("alloc_failed", "allocation_failed"),  # cuBLAS and cuDNN, for their workspaces
    "invalid buffer size",  # Metal
)
TILED = "decoded in tiles, because memory ran out"  # the note of a cell


def is_exhausted(error: BaseException) -> bool:
    """CUDA has an exception of its own, its libraries raise others; the CPU's allocator raises a
    plain RuntimeError.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return any(words in text for words in _WORDS)
