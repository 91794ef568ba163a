"""Encodes frames as WebP in threads of its own, on the cores that a sweep can spare."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from sdviz.pictures.files import encode_webp
from sdviz.pictures.pixels import Pixels

_MOST = 8  # threads: more than the archive's own thread can write behind

# Waits for a frame, if it must: its WebP, and the seconds that encoding took.
Encoded: TypeAlias = Callable[[], tuple[bytes, float]]


class Encoders:
    """A picture of 1024x1024 takes 50 ms: a fast GPU makes more frames than one thread encodes."""

    def __init__(self, device: str) -> None:
        """`device` is what the sweep computes on."""
        threads = spare_threads(device)  # without any, whoever asks for a frame encodes it
        self._pool = ThreadPoolExecutor(threads, "sdviz-encoder") if threads else None

    def frame(self, pixels: Pixels) -> Encoded:
        """Begins to encode `pixels`, if there is a thread to spare."""
        if self._pool is None:
            return lambda: _encode(pixels)
        return self._pool.submit(_encode, pixels).result

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def spare_threads(device: str) -> int:
    """Of the cores that this process may use half, where the sweep computes on them; and all but
    the sweep's own where a GPU does. The archive has one of its own.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    spare = (cores - 1) // 2 if device == "cpu" else max(0, cores - 2)
    return min(_MOST, spare)


def _encode(pixels: Pixels) -> tuple[bytes, float]:
    started = time.perf_counter()
    return encode_webp(pixels), time.perf_counter() - started
