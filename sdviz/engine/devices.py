"""What differs between devices: clocks and memory."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from sdviz.events import Event, Note
from sdviz.models.denoiser import Denoiser
from sdviz.models.hardware.options import TILED, is_exhausted, tile

# glibc's malloc.h: what mallopt is told.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_MOST = 2**31 - 1


def clock() -> float:
    """Seconds, for what runs on the CPU whatever the device; a test may turn it."""
    return time.perf_counter()


def now(device: str) -> float:
    """Seconds, read after the device has finished what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()
    return clock()


def keep(device: str) -> None:
    """On a CPU the memory of one forward stays with the process, for the next.

    Left to itself, glibc gives large blocks back to the system as soon as they are free, which then
    fills them with zeros for the next forward, page by page: a tenth of its time.
    """
    libc = _glibc()
    if device == "cpu" and libc is not None:
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _MOST)


def give_back(device: str) -> None:
    """What `keep`, and torch on a GPU, have kept for a next forward goes back to the system."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.startswith("mps"):
        torch.mps.empty_cache()


def free(device: str) -> None:
    """Gives back what is no longer referenced, so that the next model finds room."""
    gc.collect()
    give_back(device)


@functools.cache
def _glibc() -> Any | None:
    """The C library, if it is GNU's; others have neither the habit nor the functions."""
    with contextlib.suppress(OSError, TypeError):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim"):
            return libc
    return None


T = TypeVar("T")


class Tiles:
    """Lets a denoiser's VAE work in tiles from the first time on that memory runs out."""

    def __init__(self, denoiser: Denoiser, emit: Callable[[Event], None]) -> None:
        self.notes: tuple[str, ...] = ()  # of every cell from now on
        self._denoiser = denoiser
        self._emit = emit

    def attempt(self, work: Callable[[], T]) -> T:
        """The result of `work`; MemoryError if memory runs out, in tiles as well."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_exhausted(error):
                    raise
                words = str(error)
            # Outside the handler, whose traceback would keep the tensors of the failed work.
            free(self._denoiser.device)
            if not tile(self._denoiser.vae):
                raise MemoryError(f"memory ran out: {words}")
            text = "memory ran out in the VAE; continuing with it in tiles"
            self._emit(Note("memory", text, {"vae_tiling": True}))
            self.notes = (TILED,)
