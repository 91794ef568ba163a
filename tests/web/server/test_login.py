"""`visdom.listen=true` opens the page to the network, and so it asks who is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, register, stop
from tests.archive import sweeps
from tests.web.board import Ask, free_port
from tests.web.server.test_guard import SOCKET
from tests.web.visdom.test_page import eventually


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
    assert log_in(open_board, ask, open_board.login[1])[0] == 401  # too soon: no guessing in bulk
    time.sleep(1.1)
    status, cookie = log_in(open_board, ask, open_board.login[1])
    assert status == 302
    assert ask("GET", "/", port=open_board.port, Cookie=cookie)[0] == 200
    assert ask("GET", "/", port=open_board.port, Cookie=cookie + "x")[0] == 401


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
