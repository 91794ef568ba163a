"""The base class of the handlers below /sdviz/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tornado.web

from sdviz.errors import ArchiveError
from sdviz.web.server.feed import Feed
from sdviz.web.server.login import same_secret
from sdviz.web.server.readers import NoAnswer
from sdviz.web.visdom.guarded import read_object, reason_of


class Handler(tornado.web.RequestHandler):
    """Finds archives by name, answers with JSON, and reports errors as text."""

    def initialize(self, app: Any, feed: Feed) -> None:
        self.app = app
        self.feed = feed

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")

    def head(self, *path: str) -> Any:
        """As for GET, without a body."""
        return self.get(*path)

    def asked(self) -> dict[str, Any]:
        """The body, which is a JSON object. Raises HTTPError 400 for anything else."""
        try:
            return read_object(self.request.body)
        except ValueError as error:
            raise tornado.web.HTTPError(400, str(error)) from None

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
            self.set_status(503 if isinstance(error, NoAnswer) else 404)
            reason = str(error)
        else:
            reason = reason_of(error) or self._reason
        self.answer(json.dumps({"error": reason}).encode())

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, ArchiveError | tornado.web.HTTPError):
            super().log_exception(typ, value, tb)

    def require_token(self) -> None:
        """Only a process that can read the state folder may pass; no web page can."""
        if not same_secret(self.request.headers.get("X-Sdviz-Token", ""), self.app.token):
            raise tornado.web.HTTPError(403, "the token is missing or wrong")
