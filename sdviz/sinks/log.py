"""The events of a sweep as lines of the log, for `hydra.verbose=true`."""

from __future__ import annotations

import logging

from sdviz.events import (
    CellFailed,
    CellFinished,
    CellStarted,
    Event,
    Note,
    SweepFinished,
    SweepStarted,
)

_LOG = logging.getLogger(__name__)


class EventLog:
    """A debug line for each event but frames and progress, which are many."""

    def handle(self, event: Event) -> None:
        match event:
            case SweepStarted(name=name, plan=plan, versions=versions):
                told = ", ".join(f"{package} {version}" for package, version in versions.items())
                _LOG.debug("sweep %s, %d cells; %s", name, len(plan.everything), told)
            case CellStarted(cell=cell):
                _LOG.debug("cell %d begins", cell)
            case CellFinished(cell=cell, timings=times, notes=notes):
                split = (
                    f"encode {times.encode_s:.3f}, denoise {times.denoise_s:.3f}, "
                    f"preview {times.preview_s:.3f}, decode {times.decode_s:.3f}"
                )
                _LOG.debug(
                    "cell %d done, seconds: %s; %.1f rows a tick%s",
                    cell, split, times.batch, "".join(f"; {note}" for note in notes),
                )  # fmt: skip
            case CellFailed(cell=cell, reason=reason):
                _LOG.debug("cell %d failed: %s", cell, reason)
            case Note(kind=kind, text=text):
                _LOG.debug("%s: %s", kind, text)
            case SweepFinished(status=status, seconds=seconds):
                _LOG.debug("%s after %.1f s", status, seconds)

    def close(self) -> None:
        """Nothing is held open."""
