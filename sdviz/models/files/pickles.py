"""Checkpoints that are pickles: read without running anything that is in them.

torch's own restricted reader comes first (weights_only). Old checkpoints have objects of
pytorch_lightning beside the weights, which it refuses; then a reader of our own puts an empty
object in the place of everything that is not a tensor.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from sdviz.errors import ModelError

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch", "Size"),
}


def read(path: Path, *, key: str, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Tensor by name, those of a Lightning checkpoint out of its `state_dict`, of
    stable-diffusion-webui's embeddings out of their `string_to_param`.
    """
    try:
        content = _load(path, device)
    except Exception as error:  # a pickle makes its reader raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{key}={path}: not an intact checkpoint: {reason}; download it again", key=key
        ) from None
    for inside in ("state_dict", "string_to_param"):
        if isinstance(content, dict) and isinstance(content.get(inside), dict):
            content = content[inside]
    tensors = {
        str(name): value
        for name, value in (content.items() if isinstance(content, dict) else ())
        if isinstance(value, torch.Tensor)
    }
    if not tensors:
        raise ModelError(f"{key}={path}: contains no weights; name a checkpoint", key=key)
    return tensors


def _load(path: Path, device: str) -> Any:
    mmap = zipfile.is_zipfile(path)
    try:
        return torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except pickle.UnpicklingError:
        if not mmap:  # older than torch 1.6, or no pickle of torch's
            raise
    return torch.load(path, map_location=device, weights_only=False, pickle_module=_Inert)


class _Nothing:
    """Stands for an object of a class that is not a tensor's; takes anything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Nothing:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        stored = module == "torch" and name.endswith("Storage")
        if stored or (module, name) in _ALLOWED:
            return super().find_class(module, name)
        return _Nothing


class _Inert:
    """What torch.load takes for the pickle module."""

    Unpickler = _Unpickler
    UnpicklingError = pickle.UnpicklingError
    load = staticmethod(pickle.load)
