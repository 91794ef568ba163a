"""How much a visitor may send, judged before it is read.

Tornado keeps a whole body in memory before a handler sees the request. Here the headers
suffice for a refusal. Every route has a limit, and so have all bodies together.
"""

from __future__ import annotations

import gc
import json
import re
import weakref
from http.client import responses
from typing import Any

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    ResponseStartLine,
)

_MB = 1 << 20
_ALL = 96 * _MB  # bodies of all requests that are being answered
_ROUTES = (  # what a body may have; other routes take no pictures
    (re.compile(r"/(events|update|win_data|upload_env|socket_wrap|vis_socket_wrap)"), 32 * _MB),
    (re.compile(r"/sdviz/live/(do|tell|answer)"), 32 * _MB),  # `do` carries a PNG in base64
    (re.compile(r"/sdviz/login"), 4096),
)
_OTHERS = _MB
_DRAINED = 16 * _MB  # of a refused body: a browser shows an answer only when its request has left
_ANY = 1 << 62


def limit_of(path: str) -> int:
    """The largest body in bytes that the route at `path` takes."""
    return next((limit for route, limit in _ROUTES if route.fullmatch(path)), _OTHERS)


class Budget:
    """The bytes of all bodies in memory."""

    def __init__(self, limit: int = _ALL) -> None:
        self._limit = limit
        self._used = 0

    def take(self, count: int) -> bool:
        """False where there is no room for `count` bytes more."""
        if self._used + count > self._limit:
            gc.collect()  # answered requests may wait for it
        if self._used + count > self._limit:
            return False
        self._used += count
        return True

    def give_back(self, count: int) -> None:
        self._used -= count


class Refusal(HTTPMessageDelegate):
    """Answers a request by its headers; its body is dropped as it comes, and cut off if long."""

    def __init__(
        self,
        request: HTTPServerRequest,
        status: int,
        body: str,
        headers: dict[str, str],
        kind: str = "text/html; charset=utf-8",
    ) -> None:
        self._request = request
        self._connection: Any = request.connection
        self._status = status
        self._body = body.encode("utf-8", "replace")
        self._headers = {**headers, "Content-Type": kind}
        self._dropped = 0
        self._ended = False

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        self._connection.set_max_body_size(_ANY)
        self.answer()
        if "Expect" in headers or _length(headers) > _DRAINED:
            self.finish()

    def answer(self) -> None:
        """Send status and text; more of the request may follow."""
        sent = HTTPHeaders({**self._headers, "Content-Length": str(len(self._body))})
        sent["Cache-Control"] = "no-store"
        line = ResponseStartLine("HTTP/1.1", self._status, responses.get(self._status, "Refused"))
        chunk = None if self._request.method == "HEAD" else self._body
        self._connection.write_headers(line, sent, chunk)

    def data_received(self, chunk: bytes) -> None:
        self._dropped += len(chunk)
        if self._dropped > _DRAINED:
            self.finish()

    def finish(self) -> None:
        if not self._ended:
            self._ended = True
            self._connection.finish()

    def on_connection_close(self) -> None:
        self._ended = True


class Limited(HTTPMessageDelegate):
    """Hands a request on to `inner`, unless its body is longer than allowed."""

    def __init__(
        self,
        request: HTTPServerRequest,
        inner: HTTPMessageDelegate,
        budget: Budget,
        headers: dict[str, str],
    ) -> None:
        self._request, self._inner, self._budget = request, inner, budget
        self._headers = headers
        self._limit = limit_of(request.path or "")
        self._length = 0
        self._refusal: Refusal | None = None

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Any:
        connection: Any = self._request.connection
        connection.set_max_body_size(_ANY)  # it is this class that counts
        if _length(headers) > self._limit:
            refusal = self._refuse(413, f"this address takes at most {self._limit} bytes")
            return refusal.headers_received(start_line, headers)
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        if self._refusal is not None:
            return self._refusal.data_received(chunk)
        if self._length + len(chunk) > self._limit:
            refusal = self._refuse(413, f"this address takes at most {self._limit} bytes")
        elif not self._budget.take(len(chunk)):
            refusal = self._refuse(503, "too much data at once; try again in a moment")
        else:
            self._length += len(chunk)
            return self._inner.data_received(chunk)
        self._inner.on_connection_close()  # it lets go of what it has
        self._budget.give_back(self._length)
        refusal.answer()
        return refusal.data_received(chunk)

    def finish(self) -> None:
        if self._refusal is not None:
            self._refusal.finish()
            return
        # The body lives as long as its request, which its handler may keep for half a minute.
        weakref.finalize(self._request, self._budget.give_back, self._length)
        self._inner.finish()

    def on_connection_close(self) -> None:
        if self._refusal is None:
            self._budget.give_back(self._length)
            self._inner.on_connection_close()

    def _refuse(self, status: int, reason: str) -> Refusal:
        text = json.dumps({"error": reason})
        refusal = Refusal(self._request, status, text, self._headers, "application/json")
        self._refusal = refusal
        return refusal


def _length(headers: HTTPHeaders) -> int:
    """The length that the headers claim; 0 where they claim none (or nonsense, which Tornado
    refuses).
    """
    text = headers.get("Content-Length", "0")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0
