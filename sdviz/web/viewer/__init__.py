"""The viewer: hand-written HTML, CSS and JavaScript with two homes, a Visdom pane and the report.

It needs no build step: the files of `js/` share one scope and are joined in the order of `SCRIPTS`.
docs/viewer-data.md describes its data.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdviz.archive.store import as_json

_HERE = Path(__file__).parent

# Later files use what earlier ones define; the last one mounts.
SCRIPTS = (
    "words/text_en.js",
    "words/text_zh.js",
    "words/text.js",
    "app/dom.js",
    "data/align.js",
    "app/colours.js",
    "data/orders.js",
    "sheet/layout.js",
    "sheet/geometry.js",
    "data/store.js",
    "data/pictures.js",
    "data/records.js",
    "data/measures.js",
    "views/heat.js",
    "views/distance.js",
    "app/state.js",
    "app/moves.js",
    "bars/turner.js",
    "app/zoom.js",
    "sheet/cell.js",
    "sheet/heads.js",
    "sheet/sheet.js",
    "sheet/snapshot.js",
    "bars/values.js",
    "bars/axes.js",
    "bars/readout.js",
    "bars/transport.js",
    "views/facts.js",
    "views/inspector.js",
    "views/picker.js",
    "views/compare.js",
    "views/strips.js",
    "views/plot.js",
    "data/series.js",
    "views/curves.js",
    "views/timings.js",
    "views/figures.js",
    "data/command.js",
    "app/marks.js",
    "app/keys.js",
    "data/prefetch.js",
    "bars/status.js",
    "app/app.js",
    "app/mount.js",
)

# Inside the viewer's shadow root, in this order; `host.css` is for the page around it.
STYLES = (
    "base.css",
    "bars.css",
    "sheet.css",
    "inspector.css",
    "compare.css",
    "strips.css",
    "curves.css",
    "figures.css",
    "dialogs.css",
    "narrow.css",
)


def assets() -> dict[str, bytes]:
    """`viewer.js` and `viewer.css`, by name: the two files that a page includes once."""
    return {"viewer.js": _script().encode(), "viewer.css": _read("css", "host.css").encode()}


def page(description_json: str, *, embed: Mapping[str, str] | None = None, title: str = "") -> str:
    """The HTML of a stand-alone report around one description (docs/viewer-data.md).

    `embed` maps "cell/step", "cell/image" and "cell/thumb" to data URIs, carried inside the page.
    """
    description: dict[str, Any] = json.loads(description_json)
    if embed:
        description["frames"] = {**description.get("frames", {}), **embed}
    return _PAGE.format(
        title=html.escape(title or str(description.get("name") or "sdviz")),
        css=_read("css", "host.css"),
        data=_inline_json(description),
        js=_script(),
    )


def cell_script(cell_json: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """A `cell/N.js` of a report in a folder: one cell's JSON and its pictures as data URIs."""
    return f"sdvizCell({_inline_json({**cell_json, 'pictures': dict(pictures)})});\n"


def _script() -> str:
    style = "".join(_read("css", name) for name in STYLES)
    parts = [_read("js", name) for name in SCRIPTS]
    body = "\n".join([f"const STYLE = {_inline_json(style)};", *parts])
    return f'(() => {{\n"use strict";\n{body}\n}})();\n'


def _read(folder: str, name: str) -> str:
    return (_HERE / folder / name).read_text(encoding="utf-8")


def _inline_json(value: object) -> str:
    """JSON that no HTML parser and no old JavaScript parser can misread inside a script element."""
    text = as_json(value, compact=True)
    for sign in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


_PAGE = """<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
html, body {{ margin: 0; height: 100%; background: #757575; }}
{css}
</style>
</head>
<body>
<div class="sdviz sdviz-page"><script type="application/json">{data}</script></div>
<script>
{js}
</script>
</body>
</html>
"""
