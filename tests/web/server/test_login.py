"""`visdom.listen=true` opens the page to the network, and so it asks who is there."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, register, stop
from sdviz.web.client.state import BoardState
from sdviz.web.server.login import Login
from tests.archive import sweeps
from tests.web.board import Ask, free_port
from tests.web.server.test_guard import SOCKET
from tests.web.visdom.test_page import eventually
from tests.web.wire import raw


@pytest.fixture(scope="module")
def open_board(_own_state: None) -> Iterator[Server]:
    server = ensure(VisdomConfig(port=free_port(), listen=True))
    yield server
    stop(server.port)


def log_in(server: Server, ask: Ask, password: str) -> tuple[int, str]:
    """Status and cookie."""
    import http.client
    from contextlib import closing

    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        body = urlencode({"username": "sdviz", "password": password})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/sdviz/login", body, kind)
        answer = connection.getresponse()
        answer.read()
        return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0]


def test_draws_a_password_and_says_it(open_board: Server) -> None:
    assert open_board.login is not None
    name, password = open_board.login
    assert name == "sdviz" and len(password) >= 10


def test_a_stranger_gets_the_form_and_nothing_else(
    ask: Ask, open_board: Server, outputs: Path
) -> None:
    path = sweeps.write(outputs, "locked", sweeps.make_plan({"cfg": [3]})).path
    name = register(open_board, path, "locked", 60)
    sweep = f"/sdviz/sweep/{name}"
    closed = ["/", f"/env/{name}", "/static/js/main.js", f"{sweep}/frame/0/1.webp", "/sdviz/sweeps"]
    for address in [*closed, f"{sweep}/description.json", "/sdviz/live/state", "/sdviz/"]:
        status, _, body = ask("GET", address, port=open_board.port)
        assert status == 401, address
        assert b"visdom.listen=true" in body
    assert ask("GET", "/socket", port=open_board.port, **SOCKET)[0] == 401
    assert ask("POST", "/events", {}, port=open_board.port)[0] == 401
    assert ask("POST", "/env_state", {}, port=open_board.port)[0] == 401


def test_password_opens_and_a_wrong_one_does_not(ask: Ask, open_board: Server) -> None:
    assert open_board.login is not None
    assert log_in(open_board, ask, "wrong") == (401, "")
    assert log_in(open_board, ask, "pässword") == (401, "")
    status, cookie = log_in(open_board, ask, open_board.login[1])
    assert status == 302, "who was wrong before is let in"
    assert ask("GET", "/", port=open_board.port, Cookie=cookie)[0] == 200
    assert ask("GET", "/", port=open_board.port, Cookie=cookie + "x")[0] == 401


def test_guesses_are_slowed_down_and_keep_nobody_out(ask: Ask, open_board: Server) -> None:
    assert open_board.login is not None
    statuses: list[int] = []
    guesses = [
        threading.Thread(target=lambda: statuses.append(log_in(open_board, ask, "guess")[0]))
        for _ in range(40)
    ]
    for guess in guesses:
        guess.start()
    assert log_in(open_board, ask, open_board.login[1])[0] == 302, "while somebody guesses"
    for guess in guesses:
        guess.join(60)
    assert set(statuses) <= {401, 429}


def test_wrong_passwords_of_one_address_are_counted_for_it_alone() -> None:
    login = Login("sdviz", "secret", 6006)

    async def guess() -> list[bool]:
        waiting = [asyncio.ensure_future(login.pause("10.0.0.1")) for _ in range(30)]
        other = asyncio.ensure_future(login.pause("10.0.0.2"))
        return [*await asyncio.gather(*waiting), await other]

    with ThreadPoolExecutor(1) as thread:  # the browser's driver has a loop in this one
        waited = thread.submit(lambda: asyncio.run(guess())).result()
    assert waited.count(False) == 14 and waited[-1]
    assert login.enter("sdviz", "secret")


@pytest.mark.parametrize(
    "others",
    ["a/b=1", 'theme={"a":1}', 'x="un', "=", ";;;", "a=1; a=2", "\xe9=\xff", "x=" + "y" * 5000,
     'sdviz_session="', "$Version=1", "a b=c d", "expires=Thu, 01 Jan 1970 00:00:00 GMT"],
)  # fmt: skip
def test_cookies_of_other_services_do_no_harm(ask: Ask, open_board: Server, others: str) -> None:
    assert open_board.login is not None
    cookie = log_in(open_board, ask, open_board.login[1])[1]
    for jar in (f"{others}; {cookie}", f"{cookie}; {others}", f"{others};{cookie};{others}"):
        head = f"GET / HTTP/1.1\nHost: 127.0.0.1:{open_board.port}\nCookie: {jar}\n\n"
        assert raw(open_board.port, head)[0] == 200, jar[:80]
    head = f"GET / HTTP/1.1\nHost: 127.0.0.1:{open_board.port}\nCookie: {others}\n\n"
    assert raw(open_board.port, head)[0] == 401
    assert "Traceback" not in BoardState.of_port(open_board.port).log.read_text()


def test_before_the_login_health_says_ok_and_nothing_else(ask: Ask, open_board: Server) -> None:
    status, _, body = ask("GET", "/sdviz/health", port=open_board.port)
    assert (status, json.loads(body)) == (200, {"sdviz": "ok"})
    told = ask("GET", "/sdviz/health", port=open_board.port, X_Sdviz_Token=open_board.token)[2]
    assert {"pid", "visdom", "hosts"} <= set(json.loads(told))
    assert not ensure(VisdomConfig(port=open_board.port, listen=True)).started, "it is found again"


@pytest.mark.parametrize("path", ["/sdviz/login", "/events", "/sdviz/live/do"])
def test_a_body_before_the_login_is_not_kept(open_board: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{open_board.port}\nExpect: 100-continue\n"
    assert raw(open_board.port, head + f"Content-Length: {600 << 20}\n\n")[0] in (401, 413)


def test_a_password_of_ones_own(port: int) -> None:
    server = ensure(VisdomConfig(port=port, listen=True, username="ann", password="correct horse"))
    assert server.login == ("ann", "correct horse")


@pytest.mark.browser
def test_logs_in_from_the_page(open_board: Server, outputs: Path, page: Any) -> None:
    path = sweeps.write(outputs, "unlocked", sweeps.make_plan({"cfg": [3]})).path
    name = register(open_board, path, "unlocked", 60)
    page.goto(open_board.url(f"/env/{name}"))
    assert open_board.login is not None
    page.get_by_label("Password").fill(open_board.login[1])
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("online").wait_for()
    eventually(lambda: page.locator("img.content-image").count() == 1)
    page.problems[:] = [problem for problem in page.problems if "401" not in problem]
