"""What happens in a sweep, as small frozen records; engine and archive reader yield the same.

Pixels are numpy uint8 arrays (height, width, 3), RGB, 0..255: sinks need no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from sdviz.pictures.pixels import Pixels
from sdviz.plan.cells import Plan


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Seconds that one cell took: its share of each batch, clocks read after a device sync."""

    encode_s: float = 0.0  # text encoding (a prompt's time goes to the first cell that used it)
    denoise_s: float = 0.0  # denoiser evaluations and sampler arithmetic
    preview_s: float = 0.0  # decoding frames
    decode_s: float = 0.0  # final image through the full VAE
    save_s: float = 0.0  # writing the PNG and frames; filled in by the archive
    batch: float = 0.0  # mean number of rows in the ticks that this cell took part in
    warmup: bool = False  # took part in the first tick, which pays for warm-up

    @property
    def total_s(self) -> float:
        return self.encode_s + self.denoise_s + self.preview_s + self.decode_s + self.save_s


@dataclass(frozen=True)
class ComparableTimes:
    """What finished cells of one model cost at its settled pace, comparable among them whenever
    each of them rode. They replace those told before.
    """

    model: str
    seconds: Mapping[int, tuple[float, float]]  # by cell: in all, and of them for denoising
    batch: int  # rows of the ticks in which a row was measured
    settled: bool  # had the batch its final size, and was it full? If not, few cells were computed
    device: str  # cpu, cuda:0


@dataclass(frozen=True)
class LatentStats:
    """Measures of the latent that a frame shows, and of the guidance.

    `guidance` is the root mean square of (conditional - unconditional) prediction; None without it.
    """

    mean: float
    std: float
    min: float
    max: float
    guidance: float | None = None


@dataclass(frozen=True)
class SweepStarted:
    """A sweep begins. `config` is the resolved configuration as plain dicts and lists."""

    name: str
    plan: Plan
    config: Mapping[str, Any]
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CellStarted:
    """A cell has taken its place in the batch."""

    cell: int


@dataclass(frozen=True)
class Progress:
    """A tick is over: denoiser evaluations (rows) done so far and in all, for the progress bar."""

    evaluations: int
    total: int


@dataclass(frozen=True)
class Frame:
    """A cell's picture after step `step` (1..steps); `pixels` is None when previews are off."""

    cell: int
    step: int
    steps: int
    sigma: float  # noise level after this step, sqrt((1 - abar) / abar); 0 at the end
    timestep: float  # the model's timestep that this step evaluated
    seconds: float  # denoising seconds of this cell so far
    pixels: Pixels | None
    stats: LatentStats | None = None


@dataclass(frozen=True)
class CellFinished:
    """A cell's final image, decoded by the full VAE."""

    cell: int
    pixels: Pixels
    timings: Timings
    notes: tuple[str, ...] = ()  # e.g. "recomputed in float32: NaN in float16"


@dataclass(frozen=True)
class CellScored:
    """What other models say of a cell's final image; told after CellFinished."""

    cell: int
    scores: Mapping[str, float]  # "clip": 0..100, "aesthetic": about 1..10
    caption: str = ""


@dataclass(frozen=True)
class CellFailed:
    """A cell that cannot be computed; the sweep goes on."""

    cell: int
    reason: str


UNSCORED = "unscored"  # kind of the Note on a picture that scoring has failed on


@dataclass(frozen=True)
class Note:
    """Something worth telling: the batch size chosen, the preview decoder taken, a batch halved."""

    kind: str  # "batch", "preview", "memory", "warning", ...
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepFinished:
    """A sweep is over. `status`: "finished", "failed" (some cells failed), "interrupted"."""

    status: str
    seconds: float


Event = (
    SweepStarted
    | CellStarted
    | Progress
    | Frame
    | CellFinished
    | CellScored
    | ComparableTimes
    | CellFailed
    | Note
    | SweepFinished
)


class Sink(Protocol):
    """The end of the line for events. `handle` is called in order, from one thread; `close` once,
    always.
    """

    def handle(self, event: Event) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Warner(Protocol):
    """A sink with warnings of its own, such as a page whose server has gone.

    Whoever feeds it asks for them after each event, and gives them to all sinks.
    """

    def take_warnings(self) -> list[str]:
        """Those that came since the last call; they may have been made in another thread."""
        ...


def warning(text: str) -> Note:
    """What the user should know, on the terminal, in the archive and on the page."""
    return Note("warning", text)
