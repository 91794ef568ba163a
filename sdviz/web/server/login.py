"""The login that `visdom.listen=true` asks for.

Visdom has one, but it leaves its frames, its sockets' handshakes and its files open, and 0.2.4
keeps its secret in a fixed place. This one stands before every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from html import escape
from typing import Any

import tornado.web

from sdviz.web.server.plain import plain_page

_PAGE = re.compile(r"/(env|compare|sdviz/sweep)/[A-Za-z0-9._+-]+/?")  # where a login may lead
_DELAY_S = 1.0  # between two wrong passwords, for all visitors together


class Login:
    """One user; `required` is False without a password. Sessions live as long as the server."""

    def __init__(self, username: str, password: str, port: int) -> None:
        self.required = bool(password)
        self.cookie_name = f"sdviz_session_{port}"  # browsers keep one jar for all ports of a host
        self._username, self._password = username.encode(), password.encode()
        self._sessions: set[str] = set()
        self._next_try = 0.0

    def enter(self, username: str, password: str) -> str:
        """A new session's secret; "" when name or password are wrong, or too soon after a wrong
        one.
        """
        if time.monotonic() < self._next_try:
            return ""
        named = hmac.compare_digest(username.encode(), self._username)
        if not (hmac.compare_digest(password.encode(), self._password) and named):
            self._next_try = time.monotonic() + _DELAY_S
            return ""
        session = secrets.token_urlsafe(32)
        self._sessions.add(_digest(session))
        return session

    def knows(self, session: str) -> bool:
        return _digest(session) in self._sessions


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


class LoginHandler(tornado.web.RequestHandler):
    """Answers every request of a visitor who is not logged in: 401, with a form where a page was
    asked for.
    """

    def initialize(self, app: Any) -> None:
        self.app = app

    def prepare(self) -> None:
        if self.request.method == "POST" and self.request.path == "/sdviz/login":
            self._enter()
            return
        self.set_status(401)
        self.finish(_form(self.app.board.base_url, self.request.path, wrong=False))

    def _enter(self) -> None:
        login: Login = self.app.login
        session = login.enter(
            self.get_body_argument("username", ""), self.get_body_argument("password", "")
        )
        base, wanted = self.app.board.base_url, self.get_body_argument("wanted", "/")
        if not session:
            self.set_status(401)
            self.finish(_form(base, wanted, wrong=True))
            return
        self.set_cookie(login.cookie_name, session, path="/", httponly=True, samesite="Lax")
        self.redirect(base + (wanted if _PAGE.fullmatch(wanted) else "/"))


def _form(base_url: str, wanted: str, *, wrong: bool) -> str:
    hint = "Wrong name or password; wait a second and try again." if wrong else ""
    return plain_page(
        "sdviz: login",
        "<h1>sdviz</h1><p>This page is open to the network (<code>visdom.listen=true</code>), so "
        "it asks for a name and a password; the command that started it printed both.</p>"
        f'<form method=post action="{escape(base_url)}/sdviz/login">'
        f'<input type=hidden name=wanted value="{escape(wanted)}">'
        '<p><label>Name <input name=username autocomplete=username value="sdviz"></label>'
        "<p><label>Password <input name=password type=password autofocus "
        "autocomplete=current-password></label>"
        f"<p role=alert>{hint}</p><p><button>Log in</button></form>",
    )
