"""Guards Visdom's routes and sockets against invalid and malicious input, in every version.

Visdom does not check input: a body that is not JSON causes a traceback, a name can lead to any file
of the user, and one dead socket stops the updates of all pages. A subclass therefore replaces each
handler. It checks what comes in, and survives errors when it sends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from html import escape
from pathlib import Path
from typing import Any

import tornado.web
import tornado.websocket
from tornado.iostream import StreamBufferFullError

from sdviz.archive.store import finite
from sdviz.web.server.plain import plain_page

_MOST_SOCKETS = 256  # open at once: pages, and other people's clients
_MOST_UNREAD = 32 << 20  # bytes; whoever is that far behind reconnects and gets everything anew
_MOST_KEPT = 1000  # messages for a client that polls
_LONGEST_NAME = 200  # bytes, of an environment: it names a file
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# POST requests by which pages and clients ask, and the fields that make them write.
_FOR_READING: tuple[tuple[re.Pattern[str], set[str]], ...] = (
    (re.compile(r"/env/.*"), {"eid"}),
    (re.compile(r"/compare/.*"), set()),
    (re.compile(r"/win_data"), {"data"}),
    (re.compile(r"/(win_exists|win_hash|env_state)"), set()),
)
_LOG = logging.getLogger(__name__)


def read_object(text: bytes | str) -> dict[str, Any]:
    """A JSON object. Raises ValueError for anything else, however deep."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("the JSON is not an object")
    return value


def environment(name: object) -> str:
    """The name of an environment as Visdom keeps it, with "_" for "/". Raises ValueError for one
    that could be no file of Visdom's folder.
    """
    if not isinstance(name, str):
        raise ValueError("the name of an environment must be text")
    plain = name.replace("/", "_").replace("\\", "_")
    if not plain.strip(". ") or plain.startswith(".") or _UNPRINTABLE.search(plain):
        raise ValueError(f"{name[:60]!r} cannot be the name of an environment")
    if len(plain.encode()) > _LONGEST_NAME:
        raise ValueError(f"the name of an environment takes at most {_LONGEST_NAME} bytes")
    return plain


def checked(message: dict[str, Any]) -> dict[str, Any]:
    """A request or a socket's message to Visdom with plain names. Raises ValueError where Visdom
    would keep something that no page can show.
    """
    for field in ("eid", "prev_eid"):
        if message.get(field) is not None:
            message[field] = environment(message[field])
    match message.get("cmd"):
        case "save_layouts":
            if not isinstance(json.loads(message.get("data") or "[]"), list):
                raise ValueError("layouts must be a JSON list in text")
        case "save" if not isinstance(message.get("data"), dict):
            raise ValueError("a saved environment must be an object")
        case "forward_to_vis" | "pop_embeddings_pane":
            if not isinstance(message.get("data"), dict):
                raise ValueError("data is not an object")
            checked(message["data"])
        case _:
            return message
    return message


def for_browsers(message: Any) -> str | bytes:
    """A message as JSON that browsers read: they know neither NaN nor Infinity."""
    text: str | bytes = message if isinstance(message, str | bytes) else json.dumps(message)
    if isinstance(text, str) and ("NaN" in text or "Infinity" in text):
        try:
            return json.dumps(finite(json.loads(text)))
        except (ValueError, RecursionError):
            pass
    return text


def reason_of(error: object) -> str:
    """The public reason of a failed request; "" for internal errors."""
    if not isinstance(error, tornado.web.HTTPError):
        return ""
    return (error.log_message % error.args if error.log_message else error.reason) or ""


def only_reads(method: str, path: str) -> bool:
    """Whether a request may change nothing, by its method and address alone."""
    if path.endswith("_wrap"):  # a socket for those who poll
        return False
    asks = method == "POST" and any(route.fullmatch(path) for route, _ in _FOR_READING)
    return asks or method in ("GET", "HEAD", "OPTIONS")


class _Web(tornado.web.RequestHandler):
    """Wraps a handler of Visdom: invalid input is a 400, and HEAD works as GET."""

    def prepare(self) -> None:
        if self.request.method != "POST" or self.request.files:
            return
        try:
            asked = checked(read_object(self.request.body))
            self.path_args = [_path(self.request.path, one) for one in self.path_args]
            if self.request.path == "/delete_env":
                _prepare_deletion(self.application, asked)
            if self.request.path == "/save":
                asked["data"] = [environment(name) for name in asked["data"]]
            if self.request.path == "/win_data" and "data" in asked:
                _check_windows(asked)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise tornado.web.HTTPError(400, str(error)) from None
        application: Any = self.application
        for route, fields in _FOR_READING:
            if route.fullmatch(self.request.path) and fields & asked.keys():
                application.require_writer(self.request)
        self.request.body = json.dumps(asked).encode()

    def head(self, *path: Any, **named: Any) -> Any:
        return self.get(*path, **named)

    def post(self, *path: Any, **named: Any) -> Any:
        try:
            return super().post(*path, **named)
        except (tornado.web.HTTPError, OSError):
            raise
        except Exception as error:  # of Visdom, over a message of another form than it expects
            reason = f"{type(error).__name__}: {error}"[:200]
            raise tornado.web.HTTPError(400, reason) from None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        reason = reason_of(kwargs.get("exc_info", (None, None))[1]) or self._reason
        if self.request.method == "POST":
            self.finish({"error": reason})
        else:
            self.finish(plain_page("sdviz", f"<h1>{status_code}</h1><p>{escape(reason)}</p>"))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, tornado.web.HTTPError):
            super().log_exception(typ, value, tb)


class _Socket(tornado.websocket.WebSocketHandler):
    """Wraps a socket of Visdom: a dead, slow or malicious one does not affect the others."""

    def initialize(self, app: Any) -> None:
        super().initialize(app)
        self.app = app
        self.readonly = app.readonly or not app.may_write(self.request)

    @property
    def last_read_time(self) -> float:
        """0.2.4's watch over clients that poll looks at all sockets."""
        return time.time()

    def open(self, *path: str, **named: str) -> None:
        if len(self.app.subs) + len(self.app.sources) >= _MOST_SOCKETS:
            self.close(1013, "too many pages are open")
            return
        if self.ws_connection is not None and self.ws_connection.stream is not None:
            self.ws_connection.stream.max_write_buffer_size = _MOST_UNREAD
        super().open(*path, **named)
        if self.ws_connection is None:  # it closed during the handshake, which gives no event
            self.on_close()

    def on_message(self, message: str | bytes) -> None:
        if self.readonly:
            return
        try:
            request = checked(read_object(message))
            if request.get("cmd") == "delete_env":
                _prepare_deletion(self.app, request)
            super().on_message(json.dumps(request))
        except Exception as error:
            _LOG.info("a page's message was dropped: %s: %s", type(error).__name__, error)

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """Never raises: Visdom sends to all sockets in one loop."""
        try:
            sent = super().write_message(for_browsers(message), binary)
        except (tornado.websocket.WebSocketError, StreamBufferFullError):
            # Not here and now: Visdom is walking over the sockets.
            asyncio.get_running_loop().call_soon(self._leave)
            sent = asyncio.get_running_loop().create_future()
            sent.set_result(None)
            return sent
        sent.add_done_callback(lambda future: future.cancelled() or future.exception())
        return sent

    def on_close(self) -> None:
        if hasattr(self, "sid"):
            super().on_close()

    def _leave(self) -> None:
        if self.ws_connection is not None and self.ws_connection.stream is not None:
            self.ws_connection.stream.close()
        self.on_close()

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, tornado.web.HTTPError):
            super().log_exception(typ, value, tb)


def guard_routes(application: tornado.web.Application) -> None:
    """Replaces each handler of Visdom by a guarded subclass."""
    rules = application.wildcard_router.rules
    rules[:] = [rule for rule in rules if rule.target.__name__ != "ErrorHandler"]  # fails on demand
    for rule in rules:
        is_socket = issubclass(rule.target, tornado.websocket.WebSocketHandler)
        guard = _Socket if is_socket else _Web
        rule.target = type(rule.target.__name__, (guard, rule.target), {})


def guard_polling(*wrappers: Any) -> None:
    """The same for Visdom's wrappers of polling clients, which are not handlers."""
    for wrapper in wrappers:
        _guard_wrapper(wrapper)


def _guard_wrapper(wrapper: Any) -> None:
    hears, writes = wrapper.on_message, wrapper.write_message

    def on_message(self: Any, message: Any) -> None:
        hears(self, json.dumps(checked(read_object(message))))

    def write_message(self: Any, message: Any) -> None:
        if len(self.messages) >= _MOST_KEPT:
            self.messages.clear()  # it does not poll; the others get the next messages
            asyncio.get_running_loop().call_soon(self.close)
        writes(self, for_browsers(message))

    wrapper.on_message, wrapper.write_message = on_message, write_message


def _prepare_deletion(application: Any, message: dict[str, Any]) -> None:
    """0.2.4 takes the first page for what has no name, and fails half-way with an environment that
    was never saved. Raises ValueError.
    """
    name = message.get("eid")
    if name in (None, "main"):
        raise ValueError("main, which lists the sweeps, cannot be deleted")
    if name in application.state:
        (Path(application.env_path) / f"{name}.json").touch()


def _check_windows(asked: dict[str, Any]) -> None:
    """Raises ValueError for windows that a page could not show."""
    data = json.loads(asked["data"])
    windows = {str(asked["win"]): data} if asked.get("win") is not None else data
    if not isinstance(windows, dict) or not all(isinstance(w, dict) for w in windows.values()):
        raise ValueError("data is not a window or an object of windows")
    if not all(isinstance(window.get("i", 0), int) for window in windows.values()):
        raise ValueError("a window's place is not a number")


def _path(address: str, part: str) -> str:
    """The names in an address, likewise; several where environments are compared."""
    if not address.startswith(("/env/", "/compare/")):
        return part
    several = part.split("+") if address.startswith("/compare/") else [part]
    return "+".join(map(environment, several))
