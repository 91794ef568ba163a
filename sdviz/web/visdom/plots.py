"""The plots of a sweep's page, as Visdom's messages: where time was spent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from sdviz.web.visdom.panes import Message, ascii_text, cell_title

SECONDS = {
    "encode_s": "text encoding",
    "denoise_s": "denoising",
    "preview_s": "previews",
    "decode_s": "final image",
    "save_s": "saving",
}
_COLOURS = ("#8c8c8c", "#3b6ea5", "#d08a2e", "#5a9367", "#b0573f")  # distinct in grey too
_COMPARABLE = "#56b4e9"
_MOST_TICKS = 12
_TICK_TEXT = 80  # characters that fit under a plot


def times(description: Mapping[str, Any]) -> Message:
    """Seconds of each finished cell: its comparable cost if known, and its measured time by kind.
    With comparable costs, the legend switches the measured times on.
    """
    done = [cell for cell in description["cells"] if cell.get("t")]
    names = [cell_title(description, cell) for cell in done]
    compares = any("comparable_s" in cell["t"] for cell in done)

    def bars(title: str, colour: str, values: list[float], **more: Any) -> dict[str, Any]:
        return {
            "type": "bar",
            "name": title,
            "x": [cell["i"] for cell in done],
            "y": [round(value, 4) for value in values],
            "text": names,
            "textposition": "none",  # on hovering
            "marker": {"color": colour},
            **more,
        }

    hidden = {"visible": "legendonly"} if compares else {}
    data = [
        bars(title, colour, [cell["t"].get(kind, 0.0) for cell in done], **hidden)
        for (kind, title), colour in zip(SECONDS.items(), _COLOURS, strict=True)
    ]
    if compares:
        cost = [cell["t"].get("comparable_s", cell["t"].get("total_s", 0.0)) for cell in done]
        data.insert(0, bars("comparable", _COMPARABLE, cost))
    layout = _layout("Seconds of each cell", "cell", "s")
    layout["xaxis"] |= _cell_ticks([cell["i"] for cell in done], names)
    layout |= {"barmode": "stack", "bargap": 0.2}
    return {"win": "times", "data": data, "layout": layout, "opts": _plot_opts("times")}


def speed(per_step: Mapping[str, Sequence[tuple[int, float]]]) -> Message:
    """Seconds a step took: {sampler: [(step, mean seconds over its cells)]}."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": ascii_text(sampler),
            "x": [step for step, _ in points],
            "y": [round(seconds, 5) for _, seconds in points],
        }
        for sampler, points in per_step.items()
    ] or [{"type": "scatter", "x": [], "y": []}]  # Visdom takes no plot without a line
    layout = _layout("Mean seconds per step of each sampler", "step", "s")
    layout["xaxis"]["dtick"] = _apart(max((len(points) for points in per_step.values()), default=0))
    layout["yaxis"]["rangemode"] = "tozero"
    return {"win": "speed", "data": data, "layout": layout, "opts": _plot_opts("seconds per step")}


def _cell_ticks(cells: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """The cells' names under the bars if they fit; else whole numbers only (Plotly would write
    0, 1, 1, 2, 2 under three bars).
    """
    if cells and len(cells) * max(map(len, names)) <= _TICK_TEXT:
        return {"title": "", "tickmode": "array", "tickvals": list(cells), "ticktext": list(names)}
    return {"tick0": 0, "dtick": _apart(len(cells))}


def _apart(count: int) -> int:
    """The distance between the ticks of `count` whole numbers: 1, 2, 5, 10, 20, 50, ..."""
    step, factors = 1, itertools.cycle((2, 2.5, 2))
    while count > step * _MOST_TICKS:
        step = int(step * next(factors))
    return step


def _plot_opts(title: str) -> dict[str, Any]:
    return {"title": title, "width": 610, "height": 320}


def _layout(title: str, x: str, y: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 14}, "y": 0.97},
        "margin": {"l": 50, "r": 15, "t": 75, "b": 50},
        "xaxis": {"title": x, "tickformat": "d"},
        "yaxis": {"title": y},
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 11},
        },
    }
