"""The login that `visdom.listen=true` requires.

Visdom's login does not protect its frames, socket handshakes and files, and 0.2.4 keeps its secret
in a fixed place. This login checks every request.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections import Counter
from html import escape
from typing import Any

import tornado.web

from sdviz.web.server.plain import plain_page

_PAGE = re.compile(r"/(env|compare|sdviz/sweep)/[A-Za-z0-9._+-]+/?")  # where a login may lead
_PAUSE_S = 1.0  # before a wrong password is answered
_MOST_WAITING = 16  # wrong passwords of one address that are waiting for their answer
_MOST_SESSIONS = 1000  # the oldest end first


class Login:
    """One user; `required` is False without a password. Sessions live as long as the server.

    A correct password is always accepted. The answer to a wrong one is delayed, and too many at
    once are refused. Both count by address, so that no visitor slows down another.
    """

    def __init__(self, username: str, password: str, port: int) -> None:
        self.required = bool(password)
        self.cookie_name = f"sdviz_session_{port}"  # all ports of a host share cookies
        self._username, self._password = username.encode(), password.encode()
        self._sessions: dict[str, None] = {}
        self._waiting: Counter[str] = Counter()

    def enter(self, username: str, password: str) -> str:
        """A new session's secret; "" when name or password are wrong."""
        named = _same(username, self._username)
        if not (_same(password, self._password) and named):
            return ""
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = None
        while len(self._sessions) > _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    async def pause(self, address: str) -> bool:
        """Delays the answer to a wrong password; False if this address has too many pending."""
        if self._waiting[address] >= _MOST_WAITING:
            return False
        self._waiting[address] += 1
        try:
            await asyncio.sleep(_PAUSE_S)
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
        return True

    def knows(self, cookies: str) -> bool:
        """Whether a Cookie header contains a session of this server."""
        for cookie in cookies.split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == self.cookie_name and _digest(value) in self._sessions:
                return True
        return False


def same_secret(candidate: str, secret: str) -> bool:
    """Whether both are equal, in constant time; `candidate` may be any text."""
    return _same(candidate, secret.encode())


def _same(candidate: str, secret: bytes) -> bool:
    return hmac.compare_digest(candidate.encode("utf-8", "surrogatepass"), secret)


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


class LoginHandler(tornado.web.RequestHandler):
    """Checks the name and password of a visitor who is not logged in."""

    def initialize(self, app: Any) -> None:
        self.app = app

    async def post(self) -> None:
        login: Login = self.app.login
        session = login.enter(
            self.get_body_argument("username", ""), self.get_body_argument("password", "")
        )
        base, wanted = self.app.board.base_url, self.get_body_argument("wanted", "/")
        if not session:
            waited = await login.pause(self.request.remote_ip or "")
            self.set_status(401 if waited else 429)
            self.finish(login_page(base, wanted, wrong=True))
            return
        self.set_cookie(login.cookie_name, session, path="/", httponly=True, samesite="Lax")
        self.redirect(base + (wanted if _PAGE.fullmatch(wanted) else "/"))


def login_page(base_url: str, wanted: str, *, wrong: bool = False) -> str:
    """The form, which leads to the address `wanted` if that is a page of ours."""
    hint = "Wrong name or password." if wrong else ""
    return plain_page(
        "sdviz: login",
        "<h1>sdviz</h1><p>This page is open to the network (<code>visdom.listen=true</code>), so "
        "it requires a login. The command that started it printed the name and the password.</p>"
        f'<form method=post action="{escape(base_url)}/sdviz/login">'
        f'<input type=hidden name=wanted value="{escape(wanted)}">'
        '<p><label>Name <input name=username autocomplete=username value="sdviz"></label>'
        "<p><label>Password <input name=password type=password autofocus "
        "autocomplete=current-password></label>"
        f"<p role=alert>{hint}</p><p><button>Log in</button></form>",
    )
