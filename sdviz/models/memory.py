"""How devices say that memory ran out."""

from __future__ import annotations

import torch

TILED = "decoded in tiles, because memory ran out"  # the note of a cell


def is_exhausted(error: BaseException) -> bool:
    """CUDA has an exception of its own; the CPU's allocator raises a plain RuntimeError."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "not enough memory" in text or "out of memory" in text or "can't allocate" in text
