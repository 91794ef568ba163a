"""Frames: what the pictures look like after each step, decoded together and told one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sdviz.engine.devices import now
from sdviz.engine.guidance import Rows, denoised
from sdviz.engine.pace import Pace
from sdviz.engine.preview import SHARE, Previewer
from sdviz.engine.track import Track
from sdviz.errors import reason_of
from sdviz.events import Event, Frame, LatentStats, Note
from sdviz.models.denoiser import Denoiser
from sdviz.models.hardware.options import is_exhausted
from sdviz.plan.config import PreviewConfig
from sdviz.plan.passes import steps_in

_OVER = 1.2  # times SHARE: what was measured before the batch had its size may be off by so much
_JUDGED = 1.0  # seconds after which a decoder is judged by what it took


@dataclass(frozen=True)
class View:
    """A track whose step is complete, with what only this tick knows of it."""

    track: Track
    step: int
    timestep: float  # that the step's last evaluation was at
    shown: torch.Tensor  # (1, c, h, w): a predicted clean latent, see `subject`
    guidance: float | None  # root mean square of (conditional - unconditional)


@dataclass(frozen=True)
class _Due:
    """A frame to be decoded; a held one must tell what was true at its own step."""

    view: View
    latent: torch.Tensor  # (1, c, h, w) that it shows
    sigma: float
    seconds: float


class Frames:
    """Turns views into Frame events, by the decoder that the configuration names or allows."""

    def __init__(
        self,
        denoiser: Denoiser,
        config: PreviewConfig,
        emit: Callable[[Event], None],
        pace: Pace,
    ) -> None:
        self._pace = pace
        self._device = denoiser.device
        self._prediction_type = denoiser.prediction_type
        self._config = config
        self._emit_event = emit
        self._previewer = Previewer(denoiser, config)
        self._held: list[_Due] = []  # until a decoder is chosen
        self._spent = {"previews": 0.0, "denoising": 0.0}  # seconds since it was

    def show(self, views: Sequence[View], *, seconds: float, is_warm: bool) -> None:
        """Frames of every cell that is not finished; a finished one shows its final image, and a
        reference nothing else. `seconds` are those of the tick.
        """
        self._spent["denoising"] += seconds
        self._held += [
            self._due(view)
            for view in views
            if not view.track.is_finished
            and not view.track.cell.reference
            and view.step % self._config.every == 0
        ]
        if not self._held:
            return
        try:
            self._show(is_warm)
        except Exception as error:  # a frame is not worth a cell
            self._held = []
            self._give_up(reason_of(error))

    def _give_up(self, reason: str) -> None:
        """No previews from here on."""
        self._previewer.take("none")
        self._emit_event(Note("preview", f"no frames: {reason}", {"decoder": "none"}))

    def _show(self, is_warm: bool) -> None:
        if not self._previewer.chosen:
            if not is_warm:  # the first tick pays for warm-up: its time would mislead the choice
                return
            self._choose()
        elif self._config.decoder == "auto":
            self._reconsider()
        held, self._held = self._held, []
        shapes = dict.fromkeys(due.latent.shape for due in held)  # several when sizes change over
        for shape in shapes:
            self._decode([due for due in held if due.latent.shape == shape])

    def subject(self, x0: torch.Tensor, prediction: torch.Tensor, rows: Rows) -> torch.Tensor:
        """(n, c, h, w) that frames show of a tick's tracks: x0, or, where `preview.of` asks for it,
        what the prompt or the negative prompt alone predicts, of a `prediction` (rows, c, h, w).
        """
        chosen = {"prompt": rows.conditional, "negative": rows.unconditional}.get(self._config.of)
        if chosen is None:
            return x0
        return denoised(prediction[chosen], rows, self._prediction_type)

    def last(self, view: View, pixels: NDArray[np.uint8]) -> None:
        """The frame of a finished cell: its final image."""
        self._emit(self._due(view), pixels)

    def _due(self, view: View) -> _Due:
        track = view.track
        if track.is_finished:
            latent = track.latents
        elif self._config.of == "xt":
            latent = track.latents if track.is_over else track.look()[0]
        else:
            latent = view.shown
        return _Due(view, latent, track.noise_left(), track.clock.denoise)

    def _decode(self, held: Sequence[_Due]) -> None:
        if self._previewer.is_off:
            for due in held:
                self._emit(due, None)
            return
        start = now(self._device)
        pictures = self._pictures(torch.cat([due.latent for due in held]))
        spent = now(self._device) - start
        self._spent["previews"] += spent
        seconds = spent / len(held)
        for due, pixels in zip(held, pictures, strict=True):
            due.view.track.clock.preview += seconds
            due.view.track.clock.use.frames += 1
            self._pace.frames.add(None, seconds)
            self._emit(due, pixels)

    def _pictures(self, latents: torch.Tensor) -> Sequence[NDArray[np.uint8] | None]:
        name = self._previewer.chosen
        while name != "none":
            try:
                if name != self._previewer.chosen:
                    self._previewer.take(name)
                return self._previewer.frames(latents)
            except (RuntimeError, MemoryError) as error:
                if not is_exhausted(error):
                    raise
            text = f"memory ran out in previews by {name}; continuing with "
            name = "none" if name == "rgb" else "rgb"
            self._emit_event(Note("memory", text + name, {"decoder": name}))
        self._previewer.take(name)
        return [None] * len(latents)

    def _emit(self, due: _Due, pixels: NDArray[np.uint8] | None) -> None:
        recipe = due.view.track.cell.recipe
        self._emit_event(
            Frame(
                cell=due.view.track.cell.index,
                step=due.view.step,
                steps=steps_in(recipe),
                sigma=due.sigma,
                timestep=due.view.timestep,
                seconds=due.seconds,
                pixels=None if self._previewer.is_off else pixels,
                stats=statistics(due.latent, due.view.guidance),
            )
        )

    def _choose(self) -> None:
        due = self._held[-1]
        a_step = due.view.track.clock.last
        alike = [other.latent for other in self._held if other.latent.shape == due.latent.shape]
        tried = self._previewer.choose(torch.cat(alike), seconds_a_step=a_step)
        # Without the first tick, which paid for warm-up; but its frames are yet to be decoded.
        self._spent["denoising"] = a_step * len(self._held)
        chosen = self._previewer.chosen
        share = tried[chosen] / (tried[chosen] + a_step * self._config.every)
        self._emit_event(
            Note(
                "preview",
                f"previews by {chosen}: {tried[chosen] * 1000:.1f} ms per frame, about {share:.0%} "
                "of the time",
                {"decoder": chosen, "seconds": tried},
            )
        )

    def _reconsider(self) -> None:
        """Goes on with a cheaper decoder where the chosen one takes more than it may: it was chosen
        among the first ticks, and a step may cost less in the batches that follow.
        """
        both = sum(self._spent.values())
        share = self._spent["previews"] / both if both > _JUDGED else 0.0
        cheaper = self._previewer.cheaper()
        if share <= _OVER * SHARE or not cheaper:
            return
        text = (
            f"previews by {self._previewer.chosen} took {share:.0%} of the time; continuing with "
        )
        self._previewer.take(cheaper)
        self._spent = dict.fromkeys(self._spent, 0.0)
        self._emit_event(Note("preview", text + cheaper, {"decoder": cheaper, "share": share}))


def statistics(latent: torch.Tensor, guidance: float | None) -> LatentStats:
    values = latent.float()
    mean = values.mean()
    # torch.std_mean takes seven times as long, and more for larger latents.
    std = ((values - mean).square_().sum() / (values.numel() - 1)).sqrt()
    numbers = torch.stack([mean, std, *torch.aminmax(values)])
    mean, std, low, high = numbers.tolist()  # at once: a GPU is waited for once
    return LatentStats(mean, std, low, high, guidance)
