"""Many bodies of code side by side in one thread, each in a greenlet that stops at its calls.

A body is any function: diffusers' unmodified pipeline, or a sampler. What it calls through a
`Captured` module is not computed there: the body waits, and whoever conducts computes the calls of
many bodies together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from greenlet import GreenletExit, getcurrent, greenlet

from sdviz.engine.calls import Call, State, named, raw_bytes

T = TypeVar("T")


class Body(Generic[T]):
    """One body on its way: it waits with a `call`, or it is over with a `result` or an `error`."""

    def __init__(self, function: Callable[[], T], device: str = "cpu") -> None:
        self._devices = dict.fromkeys(("cpu", device))
        self.call: Call | None = None
        self.error: BaseException | None = None
        self._result: list[T] = []
        self._greenlet = greenlet(lambda: self._run(function))

    @property
    def is_over(self) -> bool:
        return bool(self._greenlet.dead)

    @property
    def result(self) -> T:
        """What the function has returned; raises what it has raised."""
        if self.error is not None:
            raise self.error
        return self._result[0]

    def start(self) -> None:
        """Runs to its first call, or to its end."""
        self._switch(lambda: self._greenlet.switch())

    def go_on(self, answer: Any) -> None:
        """Gives its call's answer, and runs to its next call or to its end."""
        self._switch(lambda: self._greenlet.switch(answer))

    def fail(self, error: BaseException) -> None:
        """Its call raises `error`."""
        self._switch(lambda: self._greenlet.throw(error))

    def close(self) -> None:
        """Leaves the body where it stands."""
        if not self.is_over:
            self._switch(lambda: self._greenlet.throw(GreenletExit))

    def _switch(self, into: Callable[[], Any]) -> None:
        self._greenlet.parent = getcurrent()
        states = [State.here(device) for device in self._devices]
        try:
            call = into()
        finally:
            for state in states:  # the body's own are none of ours
                state.restore()
        self.call = call if isinstance(call, Call) and not self.is_over else None

    def _run(self, function: Callable[[], T]) -> None:
        try:
            self._result.append(function())
        except GreenletExit:
            raise
        except BaseException as error:  # raised again by `result`, in the conductor's own stack
            self.error = error


class _StandIn:
    """Takes the place of a module; its class and its attributes are the module's."""

    _module: Any

    def __init__(self, module: Any) -> None:
        object.__setattr__(self, "_module", module)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # what isinstance asks
        kind: type = self._module.__class__
        return kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)


class Captured(_StandIn):
    """Stands in for a module inside a body; calls of `methods` are handed to the conductor."""

    def __init__(self, module: Any, methods: Sequence[str], conductor: greenlet) -> None:
        super().__init__(module)
        object.__setattr__(self, "_methods", frozenset(methods))
        object.__setattr__(self, "_conductor", conductor)

    def __getattr__(self, name: str) -> Any:
        if name in self._methods:
            return lambda *given, **more: self._ask(name, given, more)
        return super().__getattr__(name)

    def __call__(self, *given: Any, **more: Any) -> Any:
        if "forward" not in self._methods:
            return self._module(*given, **more)
        return self._ask("forward", given, more)

    def _ask(self, name: str, given: Sequence[Any], more: dict[str, Any]) -> Any:
        module, conductor = self._module, self._conductor
        function = module.__call__ if name == "forward" else getattr(module, name)
        if getcurrent() is conductor:  # the conductor itself uses the module
            return function(*given, **more)
        arguments = named(getattr(module, name), given, more)
        state = State.here(str(getattr(module, "device", "cpu")))
        try:
            return conductor.switch(Call(function, arguments, state, name))
        finally:
            state.restore()  # other bodies have run meanwhile


class Remembered(_StandIn):
    """Stands in for a text encoder: equal texts are encoded once, the latest ones are kept."""

    def __init__(self, module: Any, most: int = 64) -> None:
        super().__init__(module)
        object.__setattr__(self, "_kept", {})
        object.__setattr__(self, "_most", most)

    def __call__(self, *given: Any, **more: Any) -> Any:
        key = _content((given, more))
        if key is None:
            return self._module(*given, **more)
        kept: dict[Any, Any] = self._kept
        if key not in kept:
            kept[key] = self._module(*given, **more)
        kept[key] = kept.pop(key)  # the latest last
        while len(kept) > self._most:
            del kept[next(iter(kept))]
        return kept[key]


def _content(value: Any) -> Any:
    """A hashable stand-in for a value, equal for equal content; None where there is none."""
    if isinstance(value, torch.Tensor):
        if value.numel() > 1 << 20:
            return None
        return value.dtype, tuple(value.shape), raw_bytes(value)
    if isinstance(value, dict):
        parts = [(name, _content(one)) for name, one in sorted(value.items())]
        return None if any(part is None for _, part in parts) else tuple(parts)
    if isinstance(value, list | tuple):
        several = [_content(one) for one in value]
        return None if any(one is None for one in several) else tuple(several)
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return type(value).__name__, value
    return None
