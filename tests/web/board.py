"""A real board on a free port, real archives, and a real Chromium whose network ends at this
machine.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, stop


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one module: an archive reuses the cells of those beside it."""
    return tmp_path_factory.mktemp("outputs")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> Iterator[int]:
    """A free port; whatever board is left on it is ended."""
    number = free_port()
    yield number
    stop(number)


@pytest.fixture(scope="session")
def board(_own_state: None) -> Iterator[Server]:
    """One board for all tests that do not end it."""
    server = ensure(VisdomConfig(port=free_port()))
    yield server
    stop(server.port)


Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def ask(board: Server) -> Ask:
    """One HTTP request to the board: (status, headers, body)."""

    def request(
        method: str, path: str, body: Any = None, *, port: int = board.port, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            content = None if body is None else json.dumps(body)
            plain = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, content, plain)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    return request


@pytest.fixture(scope="session")
def chromium(browsers: Any) -> Iterator[Any]:
    """A browser that can reach nothing but this machine."""
    program = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if program is None:
        pytest.skip("there is no Chromium")
    browser = browsers.chromium.launch(
        executable_path=program,
        args=[
            "--no-sandbox",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A tab of 1280x900; the test fails where the page logged an error or a request failed."""
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(20_000)
    problems: list[str] = []
    tab.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("requestfailed", lambda r: problems.append(f"{r.url}: {r.failure}"))
    tab.on(
        "response", lambda r: problems.append(f"{r.status} {r.url}") if r.status >= 400 else None
    )
    tab.problems = problems
    yield tab
    # A long poll that the test's end cuts off is no failure of the page.
    bad = [problem for problem in problems if "ERR_ABORTED" not in problem]
    tab.close()
    assert bad == []
