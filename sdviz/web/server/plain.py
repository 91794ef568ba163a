"""Pages that stand alone: no script, and nothing to load."""

from __future__ import annotations

from html import escape


def plain_page(title: str, body: str) -> str:
    """A readable HTML page; `body` is HTML, the title text."""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><link rel=icon href=data:,>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>"
        "body{font:16px/1.5 sans-serif;max-width:38em;margin:4em auto;padding:0 1em}"
        "input,button{font:inherit}label input{display:block;width:16em}"
        f"pre{{overflow:auto}}</style></head><body>{body}</body></html>"
    )
