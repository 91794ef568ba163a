"""Visdom's application, extended with sdviz's page, guard and routes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tornado.template
import tornado.web
from tornado.httputil import HTTPHeaders, HTTPServerRequest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.state import BoardState
from sdviz.web.server.bodies import Budget, Limited, Refusal
from sdviz.web.server.control import ENVIRONMENT, Control, control_routes
from sdviz.web.server.feed import Feed
from sdviz.web.server.follow import Follower
from sdviz.web.server.guard import Guard, refusal_page
from sdviz.web.server.login import Login, LoginHandler, login_page, same_secret
from sdviz.web.server.overview import ENVIRONMENT as FIRST
from sdviz.web.server.overview import Overview
from sdviz.web.server.peer import is_ours
from sdviz.web.server.registry import Registry
from sdviz.web.server.routes import sdviz_routes
from sdviz.web.visdom import panes, template
from sdviz.web.visdom.guarded import guard_routes, only_reads
from sdviz.web.visdom.versions import Application, SaveHandler, tornado_settings
from sdviz.web.visdom.windows import Windows

NOT_YOURS = "this board belongs to another user of this machine: you can view it, but not change it"
_RESTORED = 20  # pages made anew at a start
_MAX_FRAMES = 100_000  # Visdom 0.3 keeps only four by default


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Settings of the server's process."""

    port: int
    listen: bool = False
    hosts: tuple[str, ...] = ()
    base_url: str = ""  # "" or "/path", without a slash at its end
    username: str = "sdviz"
    password: str = ""  # "": no login

    def __post_init__(self) -> None:
        object.__setattr__(self, "hosts", tuple(self.hosts))


class BoardApplication(Application):  # type: ignore[misc]
    """For both ways in which proxies treat `base_url`: stripped, or left in place."""

    def __init__(self, settings: Settings, state: BoardState, token: str) -> None:
        self.board = settings
        self.token = token
        self.guard = Guard(settings.hosts, listen=settings.listen)
        self.login = Login(settings.username, settings.password, settings.port)
        self.registry = Registry(state)
        self.feed = Feed()
        self.overview = Overview(self.feed)
        self.control = Control(self)
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._budget = Budget()
        files = template.static_files()
        tornado_settings.update(
            autoreload=False,  # would start the server anew, without its state, when a file changes
            serve_traceback=False,
            compiled_template_cache=True,  # Visdom compiles its page anew for each request
            compress_response=True,
            websocket_ping_interval=20,
            template_loader=tornado.template.DictLoader(
                template.templates(settings.base_url, files), autoescape=None
            ),
        )
        tornado_settings.pop("static_path", None)
        _set_aside_damaged(state.visdom)
        # Lazily read environments are overwritten with `null` by 0.2.4.
        super().__init__(port=settings.port, env_path=f"{state.visdom}/", eager_data_loading=True)
        self.max_image_history = _MAX_FRAMES
        self.settings["log_function"] = lambda handler: None
        guard_routes(self)
        self.add_transform(_protecting(self.guard))
        self.head = template.viewer_tags(settings.base_url, files)
        shared = {"app": self, "feed": self.feed}
        static = (r"/static/(.*)", StaticHandler, {"files": files})
        self.add_handlers(r".*", [static, *control_routes(shared), *sdviz_routes(shared)])
        Windows(self, FIRST).put(panes.overview(f"{settings.base_url}/sdviz/"))

    def follow(self, name: str, max_windows: int | None = None) -> None:
        """Show the archive of this name and keep its page up to date. Repeated calls do nothing."""
        path = self.registry.path(name)
        if path is None or name in self._followers:
            return
        follower = Follower(
            self.feed,
            Windows(self, name),
            path,
            f"{self.board.base_url}/sdviz/sweep/{name}/",
            VisdomConfig.max_windows if max_windows is None else max_windows,
        )
        self._followers[name] = asyncio.get_running_loop().create_task(follower.run())

    def has_page(self, name: str) -> bool:
        """Whether Visdom has an environment for the sweep of this name."""
        return name in self._followers

    def follow_known(self) -> None:
        """After a restart: the pages of the last sweeps."""
        for name in self.registry.pages(_RESTORED):
            self.follow(name)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Checks the headers of every request first: Visdom's, sdviz's, files and sockets."""
        base = self.board.base_url
        if base and (request.path == base or request.path.startswith(base + "/")):
            request.path = request.path[len(base) :] or "/"
        headers = self.guard.headers
        if foreign := self.guard.refuses(request.headers):
            page = refusal_page(foreign, self.board.port, self.board.hosts, base)
            # Also shown in another site's frame: it says how to allow that site, and is harmless.
            harmless = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
            return Refusal(request, 403, page, {**headers, "Content-Security-Policy": harmless})
        if not self._may_enter(request):
            return self._before_login(request)
        if not only_reads(request.method or "", request.path) and not self.may_write(request):
            reason = json.dumps({"error": NOT_YOURS})
            return Refusal(request, 403, reason, headers, "application/json")
        return Limited(request, super().find_handler(request, **kwargs), self._budget, headers)

    def may_write(self, request: HTTPServerRequest) -> bool:
        """Whether the client may change anything. With a login, every visitor who logged in may.
        Without one, only this user's processes and those with the token: other users of this
        machine reach the port.
        """
        if self.login.required:
            return True  # find_handler has checked the login
        if same_secret(request.headers.get("X-Sdviz-Token", ""), self.token):
            return True
        connection: Any = request.connection
        if not hasattr(connection.context, "is_ours"):  # looked up once
            connection.context.is_ours = is_ours(connection.stream.socket)
        return bool(connection.context.is_ours)

    def require_writer(self, request: HTTPServerRequest) -> None:
        """Raises HTTPError 403 for a client that may only view."""
        if not self.may_write(request):
            raise tornado.web.HTTPError(403, NOT_YOURS)

    def save(self) -> None:
        """Write Visdom's environments to the state folder, as it does only when asked.

        Those of sweeps are left out: they are made from the archives at the next start.
        """
        sink = SimpleNamespace(
            state=self.state,
            env_path=self.env_path,
            storage=getattr(self, "storage", None),  # 0.3
            write=lambda text: None,
        )
        for environment in list(self.state):
            if environment in (*self._followers, ENVIRONMENT):
                continue
            try:
                SaveHandler.wrap_func(sink, {"data": [environment]})
            except Exception:  # the others are still worth keeping, and the server is to end
                _LOG.exception("the environment %r was not saved", environment[:60])

    def _may_enter(self, request: HTTPServerRequest) -> bool:
        return (
            not self.login.required
            or same_secret(request.headers.get("X-Sdviz-Token", ""), self.token)
            or self.login.knows(request.headers.get("Cookie", ""))
        )

    def _before_login(self, request: HTTPServerRequest) -> Any:
        """The answer to a visitor without a login: the form, or the health check."""
        headers = self.guard.headers
        if request.method == "POST" and request.path == "/sdviz/login":
            handler = self.get_handler_delegate(request, LoginHandler, {"app": self})
            return Limited(request, handler, self._budget, headers)
        if request.path == "/sdviz/health":
            return Refusal(request, 200, '{"sdviz": "ok"}', headers, "application/json")
        return Refusal(request, 401, login_page(self.board.base_url, request.path), headers)


def _protecting(guard: Guard) -> type[tornado.web.OutputTransform]:
    """Puts the guard's headers on every answer of every handler."""

    class Protecting(tornado.web.OutputTransform):
        def __init__(self, request: HTTPServerRequest) -> None:
            """The same for all."""

        def transform_first_chunk(
            self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
        ) -> tuple[int, HTTPHeaders, bytes]:
            for name, value in guard.headers.items():
                headers[name] = value
            return status_code, headers, chunk

    return Protecting


class StaticHandler(tornado.web.RequestHandler):
    """Files out of a dictionary: a path that is not in it does not exist."""

    def initialize(self, files: dict[str, bytes]) -> None:
        self.files = files

    def get(self, path: str) -> None:
        content = self.files.get(path)
        if content is None:
            raise tornado.web.HTTPError(404)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        self.set_header("Content-Type", "font/woff2" if path.endswith(".woff2") else kind)
        digest = hashlib.sha256(content).hexdigest()[:12]
        fixed = self.get_query_argument("v", "") == digest
        self.set_header("Cache-Control", "max-age=31536000, immutable" if fixed else "no-cache")
        self.write(content)

    def head(self, path: str) -> None:
        self.get(path)


def _set_aside_damaged(folder: Path) -> None:
    """Renames files of Visdom's that are no environment; 0.2.4 would not start for one of them."""
    for file in folder.glob("*.json"):
        try:
            kept = json.loads(file.read_bytes()) if file.is_file() else None
            whole = isinstance(kept, dict) and all(
                isinstance(kept.get(part), dict) for part in ("jsons", "reload")
            )
        except (OSError, ValueError, RecursionError):
            whole = False
        if not whole:
            _LOG.warning("%s is damaged; it is moved aside", file)
            file.replace(file.with_suffix(".damaged"))
