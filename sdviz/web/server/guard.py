"""Access checks by host name and origin: only known names, and no pages of other sites.

Visdom checks neither. Without these checks any web page that is open in the same browser could read
the sweeps (by DNS rebinding: a foreign name that resolves to 127.0.0.1) and write scripts into the
dashboard (by a cross-origin POST, which needs no permission from the server).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlsplit

from sdviz.web.client.launch import serve_command
from sdviz.web.server.plain import plain_page

_FRAMES = ("iframe", "frame", "embed", "object", "fencedframe")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class _Hosts(frozenset[str]):
    """Names of hosts; `*.x` among them stands for every name below x, and not for x itself."""

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        labels = str(name).split(".")
        below = (".".join(["*", *labels[at:]]) for at in range(1, len(labels)))
        return all(labels) and any(map(super().__contains__, below))


class Guard:
    """Decides by a request's headers. `hosts` are further names, as in `visdom.hosts`."""

    def __init__(self, hosts: tuple[str, ...], *, listen: bool) -> None:
        self.hosts = _Hosts(filter(None, map(_entry, hosts)))
        machine = {socket.gethostname().lower(), socket.getfqdn().lower()} if listen else set()
        self.names = _Hosts(_LOOPBACK | self.hosts | machine)
        self.listen = listen

    def refuses(self, headers: Mapping[str, str]) -> str:
        """The foreign name for which a request is refused; "" when it may pass."""
        host = headers.get("Host", "")
        if not self._is_ours(host):
            return host or "(none)"
        origin = headers.get("Origin")
        if origin is not None and not self._same_site(origin, host):
            return origin
        # Images and scripts that another site embeds carry no Origin. Following a link is fine, but
        # not a page in a frame: what a person clicks on there may be hidden by the page around it.
        if headers.get("Sec-Fetch-Site", "none") not in ("cross-site", "same-site"):
            return ""
        linked = headers.get("Sec-Fetch-Mode") == "navigate"
        framed = headers.get("Sec-Fetch-Dest", "document") in _FRAMES
        around = headers.get("Referer", "another site")
        if linked and (not framed or _hostname(around) in self.hosts):
            return ""
        return around

    def _is_ours(self, host: str) -> bool:
        name = _hostname(host)
        # A bare address cannot be a rebound name.
        return name in self.names or (self.listen and _is_address(name))

    def _same_site(self, origin: str, host: str) -> bool:
        return _netloc(origin).lower() == host.lower() or _hostname(origin) in self.hosts

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every answer: which sites may show it in a frame, and no cross-origin use.

        Browsers name the site of a request (`Sec-Fetch-Site`) only to addresses that they trust;
        under a plain http name of `visdom.hosts` these headers are all that keeps others out.
        """
        named = (f"[{host}]" if ":" in host else host for host in sorted(self.hosts))
        around = " ".join(f"http://{host}:* https://{host}:*" for host in named)
        return {
            "Content-Security-Policy": f"frame-ancestors 'self' {around}".strip(),
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }


def refusal_page(name: str, port: int, hosts: Sequence[str] = (), base_url: str = "") -> str:
    """The page that a refused browser sees: the reason, and the key that allows access. `hosts` and
    `base_url` are the board's current values, which the command keeps.
    """
    shown = escape(name)
    wanted = _hostname(_netloc(name) or name) or "name.example"
    command = escape(serve_command(port, [*hosts, wanted], base_url), quote=False)
    return plain_page(
        "sdviz: not allowed",
        f"<h1>Not allowed from here</h1><p>The request used the name <b>{shown}</b>, which this "
        "server does not allow. It answers only under known names, so that other web pages cannot "
        "read or change your sweeps.</p><p>If the name is right (a rented server or a proxy), "
        "allow it with the key <code>visdom.hosts</code>:</p>"
        f"<pre>python -m sdviz.serve --stop visdom.port={port}\n"
        f"{command}</pre>"
        "<p>The same key works with <code>python -m sdviz.sweep</code>.</p>",
    )


def _netloc(address: str) -> str:
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


def _hostname(host: str) -> str:
    """The name in a Host header or an entry of `visdom.hosts`: lower case, without scheme and
    port; "" where there is none.
    """
    try:
        name = urlsplit(host if "//" in host else f"//{host}").hostname or ""
    except ValueError:
        return ""
    return name if re.fullmatch(r"[a-z0-9_.:%-]+", name) else ""


def _entry(host: str) -> str:
    """The name in an entry of `visdom.hosts`, such as `*.example.com`; "" where there is none."""
    name = _hostname(host.replace("*.", "", 1))
    return f"*.{name}" if name and "*." in host else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
