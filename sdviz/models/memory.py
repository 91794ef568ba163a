"""How devices say that memory ran out."""

from __future__ import annotations

import torch

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
