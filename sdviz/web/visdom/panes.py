"""The windows of a sweep's page as Visdom's messages, from the description of docs/viewer-data.md.

A message is {"win", "data", "opts"} (and "layout" for plots), as Visdom's POST /events takes it.
Titles and captions are ASCII: Visdom 0.2.4 sends a whole page anew, at each update, where they are
not. Text windows are HTML, so whatever a person typed is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sdviz.plan.labels import duration, listed, telling, value_label
from sdviz.web.setting_rows import form_fields

Message = dict[str, Any]

_WIDE = 1240  # pixels; fits a window of 1280
_CELL_PX = 236
_CAPTION_PX = 62  # the slider and the caption below a picture
_FIGURE_PX = 610  # the widest figure: as wide as a plot
_BAR_PX = 24  # a window's title
_LONG_LABEL = 30  # characters


def head(description: Mapping[str, Any], max_windows: int, sheet_url: str) -> Message:
    """Prompt, settings, progress, and the number of cells without a window."""
    fixed = dict(description["fixed"])
    prompt, negative = fixed.pop("prompt", ""), fixed.pop("negative", "")
    lines = [f"<h4 style='margin:0 0 .4em;font-weight:600'>{escape(str(description['name']))}</h4>"]
    for title, text in (("Prompt", prompt), ("Negative", negative)):
        if text:
            lines.append(f"<div><b>{title}</b> {_text(text)}</div>")
    settings = [
        f"{escape(key)}&nbsp;<b>{_text(value_label(value))}</b>"
        for key, value in telling(fixed).items()
    ]
    axes = [_axis(dim) for dim in description["dims"]]
    lines.append(f"<div>{' &middot; '.join([*axes, *settings])}</div>")
    lines.append(f"<div style='font-variant-numeric:tabular-nums'>{_progress(description)}</div>")
    cells = len(description["cells"])
    if cells > max_windows:
        lines.append(
            f"<div>Only the first {max_windows} of {cells} cells have a window. "
            "The sheet shows all cells.</div>"
        )
    alone = f"<a href='{escape(sheet_url)}' target='_blank'>Open the sheet on its own page</a>"
    every = f"<a href='{escape(sheet_url.rpartition('sweep/')[0])}'>All sweeps</a>"
    lines.append(f"<div>{alone} &middot; {every}</div>")
    return _about("".join(lines))


def damaged(name: str, reason: str) -> Message:
    """Replaces `head` if an archive cannot be shown, and says why."""
    return _about(
        f"<h4 style='margin:0 0 .4em;font-weight:600'>{escape(name)}</h4><div>This archive cannot "
        f"be shown: {escape(reason[:500])}</div><div>python -m sdviz.archive verify lists what is "
        "damaged.</div>"
    )


def _about(body: str) -> Message:
    style = "padding:.4em .8em;font:14px/1.45 sans-serif;color:#222;overflow-wrap:anywhere"
    return _window("about", "about", "text", f"<div style='{style}'>{body}</div>", _WIDE, 150)


def sheet(source: str) -> Message:
    """The contact sheet: an element in which the viewer's script mounts itself."""
    element = f'<div class="sdviz" data-src="{escape(source)}" style="height:100%"></div>'
    return _window("sheet", "contact sheet", "text", element, _WIDE, 680)


def overview(source: str) -> Message:
    """The list of all sweeps, in which sweeps.js mounts itself."""
    element = f'<div class="sdviz-sweeps" data-src="{escape(source)}" style="height:100%"></div>'
    return _window("sweeps", "sweeps", "text", element, _WIDE, 680)


def control(source: str) -> Message:
    """The form of `python -m sdviz.live`, in which live.js mounts itself."""
    fields = escape(json.dumps(form_fields()))
    element = (
        f'<div class="sdviz-live" data-src="{escape(source)}" data-fields="{fields}"'
        ' style="height:100%"></div>'
    )
    return _window("control", "live", "text", element, _WIDE, 500)


def cell(
    description: Mapping[str, Any],
    cell: Mapping[str, Any],
    frames: Sequence[tuple[str, str]],
    version: str,
) -> Message:
    """One cell's window, an image history; `frames` are (address, caption), newest last."""
    width, height = cell_size(description, cell)
    opts = {
        "title": cell_title(description, cell),
        "width": width,
        "height": height + _CAPTION_PX,
        "show_slider": True,
    }
    content = [{"src": address, "caption": ascii_text(caption)} for address, caption in frames]
    return {
        "win": f"cell-{cell['i']:05d}-{version}",
        "data": [{"type": "image_history", "content": content}],
        "opts": opts,
    }


def cell_title(description: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """Like "Euler a | cfg=7": the place along every axis, for the filter of Visdom.

    Long labels, prompts mostly, come last and are cut, so that the short ones are seen.
    """
    places = zip(description["dims"], cell.get("c", ()), strict=False)
    labels = [_label(dim, at) for dim, at in places if len(dim["labels"]) > 1]
    labels.sort(key=lambda label: len(label) > _LONG_LABEL)
    short = (f"{label[:_LONG_LABEL]}..." if len(label) > _LONG_LABEL else label for label in labels)
    return ascii_text(" | ".join(short))[:160] or f"cell {cell['i']}"


def cell_size(description: Mapping[str, Any], cell: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the window's picture in pixels: in proportion, the longer side 236."""
    recipe = {**description["fixed"], **cell.get("r", {})}
    width, height = (max(1, int(recipe.get(side) or 1)) for side in ("width", "height"))
    scale = _CELL_PX / max(width, height)
    return max(128, round(width * scale)), max(64, round(height * scale))


def is_large(description: Mapping[str, Any], cell: Mapping[str, Any]) -> bool:
    """Whether a cell's picture is much larger than its window."""
    recipe = {**description["fixed"], **cell.get("r", {})}
    side = max(int(recipe.get(side) or 0) for side in ("width", "height"))
    return side * float(recipe.get("hires_scale") or 1) > 2 * _CELL_PX


def figure(name: str, address: str, size: tuple[int, int], version: str) -> Message:
    """A study's figure of `size` pixels, with its aspect ratio."""
    width = max(128, min(_FIGURE_PX, size[0]))
    height = max(64, round(width * size[1] / size[0]))
    return {
        "win": f"figure-{name}-{version}",
        "data": [{"type": "image", "content": {"src": address, "caption": ""}}],
        "opts": {"title": name, "width": width, "height": height + _BAR_PX},
    }


def _window(win: str, title: str, kind: str, content: Any, width: int, height: int) -> Message:
    opts = {"title": title, "width": width, "height": height}
    return {"win": win, "data": [{"type": kind, "content": content}], "opts": opts}


def _progress(description: Mapping[str, Any]) -> str:
    progress = description.get("progress") or {}
    done, total = progress.get("done", 0), progress.get("total", 0)
    parts = [f"<b>{escape(str(description['status']))}</b>", f"{done} of {total} cells"]
    if progress.get("failed"):
        parts.append(f"<b>{progress['failed']} failed</b>")
    if progress.get("evaluations_total"):
        parts.append(f"{progress['evaluations']} of {progress['evaluations_total']} evaluations")
    if progress.get("seconds"):
        so_far = " so far" if description["status"] == "running" else ""
        parts.append(f"{duration(progress['seconds'])}{so_far}")
    if description["status"] == "running" and progress.get("seconds_left") is not None:
        parts.append(f"{duration(progress['seconds_left'])} left")
    evaluations = progress.get("evaluations", 0), progress.get("evaluations_total", 0)
    part, whole = evaluations if evaluations[1] else (done, total)
    share = 100.0 if description["status"] == "finished" else 100 * part / (whole or 1)
    filled = f"display:block;height:100%;width:{min(share, 100):.1f}%;background:#3b6ea5"
    bar = (
        "<span style='display:inline-block;width:10em;height:.6em;background:#ddd'>"
        f"<span style='{filled}'></span></span>"
    )
    return " &middot; ".join([bar, *parts])


def _axis(dim: Mapping[str, Any]) -> str:
    labels = [str(label) for label in dim["labels"]]
    shown = listed(labels[:8]) + (f", ... ({len(labels)})" if len(labels) > 8 else "")
    return f"{escape('+'.join(dim['keys']))}&nbsp;<b>{_text(shown)}</b>"


def _text(value: Any) -> str:
    return escape(str(value)).replace("\n", "<br>")


def _label(dim: Mapping[str, Any], at: int) -> str:
    """A position's label in ASCII; its number if nothing of the label is left."""
    label = str(dim["labels"][at])
    plain = ascii_text(label)
    keys = dim["keys"]
    if label and not any(letter.isalnum() for letter in plain):
        return f"{keys[0]} {at + 1}"
    return plain if keys == ["sampler"] else f"{'+'.join(keys)}={plain}"


def ascii_text(text: str) -> str:
    """`text` on one line in ASCII, as titles and captions need it."""
    return " ".join(text.encode("ascii", "ignore").decode().split())
