"""The board as a sink: it registers the sweep's archive with the server, which does the rest.

The server follows the archive (follow.py), so that a live sweep, an archived one and a page after a
restart of Visdom are made by the same code, and the sweep spends nothing on its page. A foreign
Visdom cannot follow; for that one, foreign.py sends pictures inside messages.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

from sdviz.errors import BoardError
from sdviz.events import Event
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.foreign import ForeignPage
from sdviz.web.client.launch import Server, ensure, register, serve_command, server_on
from sdviz.web.client.ports import ask, free_port
from sdviz.web.client.state import page_name

_PROBE_S = 2.0


class BoardSink:
    """One sweep's page; a `Sink`. Failures of Visdom only cause one warning."""

    def __init__(self, config: VisdomConfig, server: Server, archive: Path, name: str) -> None:
        self.server = server
        self._config, self._archive, self._name = config, archive, name
        self._page = "" if not server.is_ours else self._register(server)
        self._foreign = None if server.is_ours else ForeignPage(config.port, page_name(name))
        self._warnings: deque[str] = deque()
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._reregister, name="sdviz-board", daemon=True)
        if server.is_ours:
            self._watch.start()

    @classmethod
    def open(cls, config: VisdomConfig, archive_path: Path, name: str) -> BoardSink:
        """Finds or starts Visdom. Raises BoardError where it cannot be had, whatever the reason."""
        try:
            return cls(config, ensure(config), Path(archive_path), name)
        except BoardError:
            raise
        except Exception as error:  # a sweep continues without its page
            reason = f"{type(error).__name__}: {error}"
            raise BoardError(f"visdom.port={config.port}: no page: {reason}") from error

    @property
    def url(self) -> str:
        """The address of the page for a browser on this machine."""
        return self.server.url(f"/env/{self._page or page_name(self._name)}")

    @property
    def login(self) -> tuple[str, str] | None:
        """Name and password, where the page asks for them."""
        return self.server.login

    @property
    def shortcoming(self) -> str:
        """Why the page is not complete; "" if it is."""
        port = self.server.port
        if self.server.is_ours:
            return ""
        return (
            f"visdom.port={port}: this Visdom was started by another program or another user, so "
            f"its page gets only a few small pictures; visdom.port={free_port(port)} shows the "
            "full page"
        )

    def handle(self, event: Event) -> None:
        if self._foreign is not None:
            self._foreign.handle(event)

    def take_warnings(self) -> list[str]:
        """As of a Warner: Visdom has gone, and the like."""
        warnings = [self._warnings.popleft() for _ in range(len(self._warnings))]
        return warnings + (self._foreign.take_warnings() if self._foreign is not None else [])

    def close(self) -> None:
        self._closed.set()
        if self._foreign is not None:
            self._foreign.close()

    def _register(self, server: Server) -> str:
        return register(server, self._archive, self._name, self._config.max_windows)

    def _reregister(self) -> None:
        """Warns once if Visdom stops, and registers again when one is back."""
        answers = True
        pid = None
        while not self._closed.wait(_PROBE_S):
            server = self.server
            facts = ask(server.port, "GET", "/sdviz/health", token=server.token)
            if not isinstance(facts, dict):
                if answers:
                    self._warnings.append(_gone(self._config))
                answers = False
                continue
            if pid not in (None, facts.get("pid")) or not answers:
                self._again()
            answers, pid = True, facts.get("pid")

    def _again(self) -> None:
        server = server_on(self.server.port)
        if server.is_ours:
            self.server = server
            try:
                self._page = self._register(server)
            except BoardError:
                return  # it stopped again; the next check retries


def _gone(config: VisdomConfig) -> str:
    command = serve_command(config.port, config.hosts, config.base_url)
    return (
        f"Visdom on visdom.port={config.port} does not answer; the sweep continues. To bring its "
        f"page back: {command}"
    )
