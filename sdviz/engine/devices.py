"""What differs between devices: clocks and memory."""

from __future__ import annotations

import gc
import time

import torch


def now(device: str) -> float:
    """Seconds, read after the device has finished what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()
    return time.perf_counter()


def free(device: str) -> None:
    """Gives back what is no longer referenced, so that the next model finds room."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.startswith("mps"):
        torch.mps.empty_cache()
