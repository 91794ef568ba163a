"""Visdom's application with our page, our guard and our routes around it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import mimetypes
from dataclasses import dataclass
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

import tornado.template
import tornado.web
from tornado.httputil import HTTPServerRequest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.state import BoardState
from sdviz.web.server.control import ENVIRONMENT, Control, control_routes
from sdviz.web.server.feed import Feed
from sdviz.web.server.follow import Follower
from sdviz.web.server.guard import Guard, refusal_page
from sdviz.web.server.login import Login, LoginHandler
from sdviz.web.server.overview import ENVIRONMENT as FIRST
from sdviz.web.server.overview import Overview
from sdviz.web.server.registry import Registry
from sdviz.web.server.routes import sdviz_routes
from sdviz.web.visdom import panes, template
from sdviz.web.visdom.versions import Application, SaveHandler, tornado_settings
from sdviz.web.visdom.windows import Windows

_RESTORED = 20  # pages made anew at a start
_MAX_FRAMES = 100_000  # 0.3 keeps four frames of a history unless told otherwise


@dataclass(frozen=True)
class Settings:
    """What the server's process is told."""

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
        files = template.static_files()
        tornado_settings.update(
            autoreload=False,  # would start the server anew, without its state, when a file changes
            serve_traceback=False,
            compress_response=True,
            websocket_ping_interval=20,
            template_loader=tornado.template.DictLoader(
                template.templates(settings.base_url, files), autoescape=None
            ),
        )
        tornado_settings.pop("static_path", None)
        # Lazily read environments are overwritten with `null` by 0.2.4.
        super().__init__(port=settings.port, env_path=f"{state.visdom}/", eager_data_loading=True)
        self.max_image_history = _MAX_FRAMES
        self.settings["log_function"] = lambda handler: None
        self.head = template.viewer_tags(settings.base_url, files)
        shared = {"app": self, "feed": self.feed}
        static = (r"/static/(.*)", StaticHandler, {"files": files})
        self.add_handlers(r".*", [static, *control_routes(shared), *sdviz_routes(shared)])
        Windows(self, FIRST).put(panes.overview(f"{settings.base_url}/sdviz/"))

    def follow(self, name: str, max_windows: int | None = None) -> None:
        """Show the archive of this name, and whatever changes in it; once, however often it is
        asked.
        """
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
        """Every request passes here first: Visdom's, ours, files and sockets."""
        base = self.board.base_url
        if base and (request.path == base or request.path.startswith(base + "/")):
            request.path = request.path[len(base) :] or "/"
        if foreign := self.guard.refuses(request.headers):
            body = refusal_page(foreign, self.board.port, self.board.hosts, self.board.base_url)
            arguments = {"body": body}
            return self.get_handler_delegate(request, RefusalHandler, arguments)
        if not self._may_enter(request):
            return self.get_handler_delegate(request, LoginHandler, {"app": self})
        return super().find_handler(request, **kwargs)

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
        SaveHandler.wrap_func(
            sink, {"data": [e for e in self.state if e not in (*self._followers, ENVIRONMENT)]}
        )

    def _may_enter(self, request: HTTPServerRequest) -> bool:
        if not self.login.required or request.path == "/sdviz/health":
            return True
        if hmac.compare_digest(request.headers.get("X-Sdviz-Token", ""), self.token):
            return True
        cookies = SimpleCookie(request.headers.get("Cookie", ""))
        return self.login.cookie_name in cookies and self.login.knows(
            cookies[self.login.cookie_name].value
        )


class RefusalHandler(tornado.web.RequestHandler):
    """Answers 403 whatever the method, before a body is looked at; a WebSocket's handshake
    likewise.
    """

    def initialize(self, body: str) -> None:
        self.body = body

    def prepare(self) -> None:
        self.set_status(403)
        self.finish(self.body)

    def check_xsrf_cookie(self) -> None:
        """Nothing is done that would need it."""


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
