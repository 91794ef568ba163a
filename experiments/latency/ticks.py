"""A sweep that notes when each of its steps was complete; run.py starts it as a process of its own.

python -m experiments.latency.ticks NOTES [overrides of python -m sdviz.sweep]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sdviz.commands.sweep.conduct import conduct
from sdviz.engine import frames
from sdviz.request.compose import prepare


def main() -> None:
    notes, overrides = Path(sys.argv[1]), sys.argv[2:]
    ticked: list[tuple[int, int, float]] = []  # cell, step, seconds since the epoch
    show = frames.Frames.show

    def noted(self: frames.Frames, views: Sequence[frames.View], *, is_warm: bool) -> None:
        now = time.time()  # the tick is over; its frames are still to be decoded
        ticked.extend((view.track.cell.index, view.step, now) for view in views)
        show(self, views, is_warm=is_warm)

    frames.Frames.show = noted  # type: ignore[method-assign]
    status = conduct(prepare(overrides))
    notes.write_text(json.dumps(ticked))
    raise SystemExit(status)


if __name__ == "__main__":
    main()
