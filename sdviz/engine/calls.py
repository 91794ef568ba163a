"""What cells ask of a model: calls, which form they have, and many of equal form as one.

A call is a function of a module (its `forward`, a VAE's `decode`) with its arguments by name. Its
batch is the length of the first dimension of its first tensor. Calls of equal form are joined along
that dimension: tensors and lists that have it are put one behind the other, a single number for the
whole call (a timestep, a guidance scale) becomes one a row, and everything else must be equal.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

# Arguments that tell a call's batch, in the order in which they are asked.
_BATCHED = ("hidden_states", "sample", "x", "z", "latents", "input_ids")


@dataclass(frozen=True)
class State:
    """torch's autocast and grad mode as they stood somewhere; both belong to the thread."""

    device: str
    autocast: bool
    dtype: torch.dtype
    grad: bool

    @staticmethod
    def here(device: str) -> State:
        kind = torch.device(device).type
        if not torch.amp.is_autocast_available(kind):
            kind = "cpu"
        dtype = torch.get_autocast_dtype(kind)
        return State(kind, torch.is_autocast_enabled(kind), dtype, torch.is_grad_enabled())

    def restore(self) -> None:
        torch.set_autocast_enabled(self.device, self.autocast)
        torch.set_autocast_dtype(self.device, self.dtype)
        torch.set_grad_enabled(self.grad)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """The work inside is done as it would have been where the call was made."""
        before = State.here(self.device)
        self.restore()
        try:
            yield
        finally:
            torch.clear_autocast_cache()
            before.restore()


@dataclass(frozen=True, eq=False)
class Call:
    """One call of `function`, whose arguments are named as the function names them."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    state: State
    name: str = "forward"  # of the module's method
    rows: int = field(init=False)  # its batch

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", _batch(self.arguments))

    @functools.cached_property
    def form(self) -> Hashable:
        """Equal for calls that can be joined."""
        arguments = sorted(self.arguments.items())
        return (
            self.function,
            self.state,
            tuple((name, _form(value, self.rows)) for name, value in arguments),
        )

    def run(self) -> Any:
        """What the function returns to this call alone."""
        with self.state.active():
            return _call(self.function, self.arguments)


def named(
    function: Callable[..., Any], given: Sequence[Any], more: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call of `function` by name; behind a wrapper without names by number."""
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    numbers = map(str, range(len(names), len(given)))
    return {**dict(zip([*names, *numbers], given, strict=False)), **more}


def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    numbered = sorted(name for name in arguments if name.isdigit())
    rest = {name: value for name, value in arguments.items() if not name.isdigit()}
    return function(*(arguments[name] for name in numbered), **rest)


def raw_bytes(tensor: torch.Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, in the order of its dimensions."""
    flat = tensor.detach().cpu().reshape(-1).contiguous()
    return flat.view(torch.uint8).numpy().tobytes()


def together(calls: Sequence[Call]) -> list[Any]:
    """What the function returns to each of several calls of one form, computed as one.

    Raises TypeError where the result cannot be parted into the calls' rows.
    """
    first = calls[0]
    if len(calls) == 1:
        return [first.run()]
    counts = [call.rows for call in calls]
    arguments = {
        name: _joined([call.arguments[name] for call in calls], counts) for name in first.arguments
    }
    with first.state.active():
        return _parted(_call(first.function, arguments), counts)


def _batch(arguments: Mapping[str, Any]) -> int:
    known = [arguments[name] for name in _BATCHED if arguments.get(name) is not None]
    for value in (*known, *arguments.values()):
        if isinstance(value, torch.Tensor) and value.ndim:
            return value.shape[0]
        if _is_list_of_tensors(value):
            return len(value)
    return 1


def _is_list_of_tensors(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(one, torch.Tensor) for one in value)
    )


def _is_listed(value: Any, rows: int) -> bool:
    """A list with one entry a row, such as the sizes of Qwen-Image's pictures."""
    return (
        isinstance(value, list)
        and len(value) == rows
        and not any(isinstance(one, bool | int | float | str) for one in value)
    )


def _form(value: Any, rows: int) -> Hashable:
    if isinstance(value, torch.Tensor):
        if value.ndim and value.shape[0] == rows:
            return "rows", tuple(value.shape[1:]), value.dtype
        if value.numel() == 1:
            return "number", value.dtype
        digest = hashlib.sha256(raw_bytes(value)).hexdigest()
        return "shared", tuple(value.shape), value.dtype, digest
    if _is_list_of_tensors(value):
        if len(value) == rows:
            return "list", *(_form(one, -1)[:3] for one in value[:1])  # type: ignore[index]
        return "tensors", *(_form(one, -1) for one in value)
    if isinstance(value, Mapping):
        return "named", *((name, _form(value[name], rows)) for name in sorted(value))
    if _is_listed(value, rows):
        return "listed", repr(value[:1])
    if isinstance(value, list | tuple):
        return type(value).__name__, *(_form(one, rows) for one in value)
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return "constant", repr(value)
    return "object", id(value)


def _joined(values: Sequence[Any], counts: Sequence[int]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        pairs = list(zip(values, counts, strict=True))
        if first.ndim and all(value.shape[0] == count for value, count in pairs):
            return torch.cat(list(values))
        if first.numel() == 1:
            return torch.cat([value.reshape(1).expand(count) for value, count in pairs])
        return first
    if _is_list_of_tensors(first) or _is_listed(first, counts[0]):
        if len(first) == counts[0]:
            return type(first)(one for value in values for one in value)
        return first
    if isinstance(first, Mapping):
        return {name: _joined([value[name] for value in values], counts) for name in first}
    return first


def _parted(result: Any, counts: Sequence[int]) -> list[Any]:
    if isinstance(result, torch.Tensor):
        if not result.ndim or result.shape[0] != sum(counts):
            raise TypeError(f"a result of shape {tuple(result.shape)} for {sum(counts)} rows")
        return list(torch.split(result, list(counts)))
    if isinstance(result, Mapping):  # a ModelOutput of diffusers or transformers
        parts = {name: _parted(value, counts) for name, value in result.items()}
        kind: Any = type(result)
        return [kind(**{name: parts[name][i] for name in parts}) for i in range(len(counts))]
    if isinstance(result, tuple):
        columns = [_parted(value, counts) for value in result]
        return [tuple(column[i] for column in columns) for i in range(len(counts))]
    if isinstance(result, list) and len(result) == sum(counts):
        rows = iter(result)
        return [[next(rows) for _ in range(count)] for count in counts]
    if result is None:
        return [None] * len(counts)
    raise TypeError(f"a result of type {type(result).__name__}")
