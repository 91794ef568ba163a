"""The server's process: `python -m sdviz.web.server.server` reads its settings as JSON from
standard input.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from sdviz.errors import BoardError
from sdviz.web.client.ports import free_port, holder
from sdviz.web.client.state import BoardState
from sdviz.web.server.app import BoardApplication, Settings

_BODY_S = 120.0  # the longest that a body may take; bodies.py bounds its length
_MOST_FILES = 4096  # open at once, half of them connections
_IDLE_S = 120.0  # until a connection that asks nothing is closed


class _Server(HTTPServer):
    """With more connections than the process may have files, it could open no archive: the oldest
    connection goes then, and a page comes back by itself.
    """

    def initialize(self, *arguments: Any, **named: Any) -> None:
        super().initialize(*arguments, **named)
        self._open: dict[IOStream, None] = {}
        self._most = _allow_files() // 2

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if len(self._open) >= self._most:
            self._open = {one: None for one in self._open if not one.closed()}
        if len(self._open) >= self._most:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.close()
        self._open[stream] = None
        super().handle_stream(stream, address)


def _allow_files() -> int:
    """Asks for as many open files as the system allows, up to a limit; how many there may be."""
    if sys.platform == "win32":
        return 512  # the C library's
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        return wanted
    return _MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed, _MOST_FILES)


def run(settings: Settings, ready: Callable[[BoardApplication], None] = lambda _: None) -> None:
    """Serve until SIGTERM, SIGINT or a stop request. Raises BoardError where the port cannot be
    had.
    """
    asyncio.run(_run(settings, ready))


async def _run(settings: Settings, ready: Callable[[BoardApplication], None]) -> None:
    # Whoever answers requests gives up the interpreter with each system call, and by default waits
    # 5 ms for a thread that reads an archive to hand it back.
    sys.setswitchinterval(0.0005)
    sockets = _bind(settings)
    state = BoardState.of_port(settings.port)
    try:
        token = state.create()
    except OSError as error:
        raise BoardError(state.unwritable(error)) from None
    application = BoardApplication(settings, state, token)
    server = _Server(application, body_timeout=_BODY_S, idle_connection_timeout=_IDLE_S)
    stopped = asyncio.Event()
    application.stop = stopped.set
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    application.follow_known()
    server.add_sockets(sockets)
    state.save_server({"pid": os.getpid(), **asdict(settings)})
    ready(application)
    try:
        await stopped.wait()
    finally:
        application.save()
        with suppress(OSError):
            state.clear_server()
        server.stop()  # last: who finds the port free finds nothing of this server
        await asyncio.sleep(0.05)  # lets the answer to a stop request leave


def _bind(settings: Settings) -> list[socket.socket]:
    try:
        return bind_sockets(settings.port, "" if settings.listen else "127.0.0.1")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BoardError(
                f"visdom.port={settings.port} is used by {holder(settings.port)}. Stop it, or "
                f"choose another port: visdom.port={free_port(settings.port)}",
                key="visdom.port",
            ) from None
        raise BoardError(
            f"visdom.port={settings.port} cannot be opened: {error.strerror}. Choose another: "
            f"visdom.port={free_port(max(settings.port, 6006))}",
            key="visdom.port",
        ) from None


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    settings = json.load(sys.stdin)
    try:
        run(Settings(**settings))
    except BoardError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
