"""What becomes of work with a VAE that memory is too small for: once more, in tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sdviz.engine.devices import free
from sdviz.events import Event, Note
from sdviz.models.denoiser import Denoiser
from sdviz.models.memory import TILED, is_exhausted
from sdviz.models.options import tile

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
            text = "memory ran out in the VAE; going on with it in tiles"
            self._emit(Note("memory", text, {"vae_tiling": True}))
            self.notes = (TILED,)
