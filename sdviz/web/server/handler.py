"""What all answers of the server's own addresses share."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import tornado.web

from sdviz.errors import ArchiveError
from sdviz.web.server.feed import Feed


class Handler(tornado.web.RequestHandler):
    """The archive of a name, JSON, errors in words, nothing for other sites."""

    def initialize(self, app: Any, feed: Feed) -> None:
        self.app = app
        self.feed = feed

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")

    def archive_path(self, name: str) -> Path:
        """The folder of the archive that the page `name` shows; 404 where there is none."""
        path: Path | None = self.app.registry.path(name)
        if path is None:
            raise tornado.web.HTTPError(404, f"no sweep {name} is known here")
        return path

    def answer(self, body: bytes, kind: str = "application/json") -> None:
        """Ends the request with `body`, whose media type is `kind`."""
        self.set_header("Content-Type", kind)
        self.finish(body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, ArchiveError):
            self.set_status(404)
        reason = error.log_message if isinstance(error, tornado.web.HTTPError) else str(error or "")
        self.answer(json.dumps({"error": reason or self._reason}).encode())

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, ArchiveError):
            super().log_exception(typ, value, tb)

    def require_token(self) -> None:
        """Only a process that can read the state folder may pass; no web page can."""
        if not hmac.compare_digest(self.request.headers.get("X-Sdviz-Token", ""), self.app.token):
            raise tornado.web.HTTPError(403, "the token is missing or wrong")
