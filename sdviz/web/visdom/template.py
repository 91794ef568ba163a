"""The Visdom page's files and templates, so that a browser needs nothing but this server.

Visdom's own template loads scripts that its package does not carry, and a style by a path that
newer tornado refuses. The template is therefore rewritten at each start: addresses below the page's
base, and no script that is not here (MathJax, and d3 for Visdom's network graphs).
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from importlib.metadata import version
from pathlib import Path

from sdviz.errors import BoardError
from sdviz.web import viewer

ASSETS = Path(__file__).with_name("static")
_SCRIPTS = Path(__file__).with_name("js")

_ABSENT = ("mathjax", "d3.v3.min.js", "d3-selection-multi", "saveSvgAsPng.js")
_SCRIPT = re.compile(r"<script\b[^>]*>.*?</script>", re.DOTALL)
_STATIC_URL = re.compile(r"""\{\{\s*static_url\(["']([^"']+)["']\)\s*\}\}""")
_ENV_ITEM = re.compile(r"\[\s*\{% for item in items %\}.*?\{% end %\}\s*\]", re.DOTALL)
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 4 4'%3E"
    "%3Cpath d='M0 0h2v2H0z' fill='%23444'/%3E%3Cpath d='M2 0h2v2H2z' fill='%23777'/%3E"
    "%3Cpath d='M0 2h2v2H0z' fill='%23aaa'/%3E%3Cpath d='M2 2h2v2H2z' fill='%23ddd'/%3E%3C/svg%3E"
)
# 0.2 shows captions twice, and a title longer than its bar falls out of it; pictures are judged
# against a neutral grey, and enlarged without blocks.
_STYLE = (
    "p.caption{display:none}html,body,#app{background:#757575!important}"
    ".window .bar .pull-right{max-width:calc(100% - 58px);overflow:hidden;white-space:nowrap;"
    "text-overflow:ellipsis}.window .bar .pull-right:hover{position:absolute;right:0;z-index:9;"
    "max-width:none;white-space:normal;background:#fff;padding:0 4px;text-align:right}"
    ".content-image{margin:0!important;image-rendering:auto!important}"
    ".window:has(.sdviz-live,.sdviz-sweeps){background:#2b2b2b;border-color:#2b2b2b}"
    ".sdviz-live{display:block;overflow:auto}"
    ".window:has(.sdviz-live,.sdviz-sweeps) :is(.content,.content-text)"
    "{height:100%;margin:0;padding:0}"
)
_ERROR = "<!doctype html><title>Error</title><p>The server could not answer; its log says why."


def visdom_folder() -> Path:
    """Where the installed visdom is; it is not imported for that (0.3 takes seconds)."""
    spec = importlib.util.find_spec("visdom")
    if spec is None or spec.origin is None:
        raise BoardError("The page needs the package visdom: python -m pip install visdom")
    return Path(spec.origin).parent


def static_files() -> dict[str, bytes]:
    """{path below /static/: content}, for the Visdom that is installed."""
    generation = "0.2" if version("visdom").startswith("0.2.") else "0.3"
    files: dict[str, bytes] = {}
    for root in (visdom_folder() / "static", ASSETS / "common", ASSETS / generation):
        for file in sorted(root.glob("*/*")):
            if file.suffix in (".css", ".js", ".woff2"):
                files[file.relative_to(root).as_posix()] = file.read_bytes()
    if "js/plotly-plotly.min.js" not in files:
        raise BoardError(
            "The scripts of the Visdom page are missing from this sdviz; "
            "install it again where npm works: python -m pip install -e ."
        )
    for name in ("reconnect.js", "hold.js", "pane.js", "live_text.js", "live.js", "sweeps.js"):
        files[f"sdviz/{name}"] = (_SCRIPTS / name).read_bytes()
    files.update({f"sdviz/{name}": content for name, content in viewer.assets().items()})
    return files


def templates(base_url: str, files: dict[str, bytes]) -> dict[str, str]:
    """Tornado templates by name: Visdom's page with our viewer in it, and an error page."""
    source = (visdom_folder() / "static" / "index.html").read_text(encoding="utf-8")
    source = _SCRIPT.sub(lambda m: "" if any(s in m[0] for s in _ABSENT) else m[0], source)
    source = _SCRIPT.sub(lambda m: "" if "window.MathJax" in m[0] else m[0], source)
    source = _STATIC_URL.sub(lambda m: _address(m[1], base_url, files), source)
    # A name with a line break or a quote would otherwise break the script, and with it the page.
    source = _ENV_ITEM.sub("{{ json_encode(items) }}", source)
    source = source.replace("'{{escape(active_item)}}'", "{{ json_encode(active_item) }}")
    source = source.replace("'{{escape(user)}}'", '""')
    source = source.replace('href="favicon.png"', f'href="{_ICON}"')
    source = source.replace("<title>visdom</title>", "<title>sdviz</title>")
    head = f"<style>{_STYLE}</style>\n{viewer_tags(base_url, files)}\n"
    return {"index.html": source.replace("</head>", head + "</head>"), "error.html": _ERROR}


def viewer_tags(base_url: str, files: dict[str, bytes]) -> str:
    """The HTML that loads the viewer, which mounts itself on every `.sdviz` element."""
    tags = []
    for path in files:
        if path.startswith("sdviz/") and path.endswith(".css"):
            tags.append(f'<link rel="stylesheet" href={_address(path, base_url, files)}>')
        if path.startswith("sdviz/") and path.endswith(".js"):
            tags.append(f"<script defer src={_address(path, base_url, files)}></script>")
    return "\n".join(tags)


def _address(path: str, base_url: str, files: dict[str, bytes]) -> str:
    """A quoted address; with the content's hash in it, so that browsers may keep it for ever."""
    if path == "../user/style.css":
        return f'"{base_url}/user/style.css"'
    digest = hashlib.sha256(files[path]).hexdigest()[:12] if path in files else ""
    return f'"{base_url}/static/{path}?v={digest}"'
