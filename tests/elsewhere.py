"""A device that is not there: its tensors are on the CPU, and must not meet those that say so.

So a test sees without a GPU what would fail on one, and each time that the CPU would wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = "meta"  # of torch's own, the one that can be had everywhere
# What Python, or the size of a tensor, depends on.
_WAITS = {"_local_scalar_dense", "equal", "masked_select", "nonzero", "_unique2"}
_MIXES = {"copy_", "index", "index_put_", "_has_compatible_shallow_copy_type"}


class Far(torch.Tensor):
    """A tensor of the device; `near` has its numbers."""

    near: torch.Tensor

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> Far:
        made: Far = torch.Tensor._make_wrapper_subclass(
            cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(),
            dtype=near.dtype, device=DEVICE,
        )  # fmt: skip
        made.near = near
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func}: the device is not there any more")


class Device(TorchDispatchMode):
    """`waits` counts, by operation, how often the CPU has waited for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:
                return func.decompose(*args, **kwargs)
        name = func.overloadpacket.__name__
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        is_far = any(isinstance(one, Far) for one in tensors)
        # Numbers, which are tensors without dimensions, go along with whatever they meet.
        mixed = is_far and any(one.ndim and not isinstance(one, Far) for one in tensors)
        if mixed and name not in _MIXES:
            raise RuntimeError(f"{func}: tensors of two devices")
        goes = str(kwargs["device"]) if kwargs.get("device") is not None else ""
        fetched = goes == "cpu" or (name == "copy_" and not isinstance(args[0], Far))
        if is_far and (name in _WAITS or fetched):
            self.waits[name] += 1
        if goes == DEVICE:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        result = func(*tree_map(_near, args), **tree_map(_near, kwargs))
        changed = func._schema.arguments[0].alias_info if func._schema.arguments else None
        if changed is not None and changed.is_write:
            return args[0]
        stays = goes == DEVICE or (is_far and goes != "cpu")
        return tree_map(_far, result) if stays else result


def _near(one: Any) -> Any:
    return one.near if isinstance(one, Far) else one


def _far(one: Any) -> Any:
    is_near = isinstance(one, torch.Tensor) and not isinstance(one, Far)
    return Far(one) if is_near else one


class _Python(TorchFunctionMode):
    """What torch does not let a Device see."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor:
            device = kwargs.pop("device", None)
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.tolist:
            return func(args[0].cpu())
        return func(*args, **kwargs)


@contextmanager
def elsewhere() -> Iterator[Device]:
    """Within, there is a DEVICE."""
    with Device() as device, _Python():
        yield device


@torch.inference_mode()
def send(*modules: Any) -> None:
    """Puts modules there; under `elsewhere`."""
    for module in modules:
        module.to(DEVICE)
