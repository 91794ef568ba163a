"""Requests that no decent client makes: each is refused, in little memory, without a traceback."""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, register, stop
from sdviz.web.client.state import BoardState
from tests.archive import sweeps
from tests.web.board import Ask, free_port
from tests.web.wire import raw, read_answer

VISDOMS = (
    "/events", "/update", "/close", "/env/main", "/compare/main+main", "/save", "/win_exists",
    "/win_data", "/delete_env", "/env_state", "/fork_env", "/socket_wrap", "/vis_socket_wrap", "/",
    "/win_hash", "/upload_env", "/experiments/log",
)  # fmt: skip
OURS = (
    "/sdviz/hello", "/sdviz/register", "/sdviz/stop", "/sdviz/live/tell", "/sdviz/live/commands",
    "/sdviz/live/answer", "/sdviz/live/do",
)  # fmt: skip
BODIES = (
    b"", b"{", b"nonsense", b"\xff\xfe\x00", b"[1]", b"5", b'"text"', b"null", b"NaN",
    b"[" * 50_000, b'{"a":' * 50_000, b'{"eid": {}}', b'{"eid": [1], "win": {}}',
    b'{"eid": "../../x"}', b'{"eid": "\\u0000"}', b'{"eid": "\\ud800"}', b'{"data": 1e999}',
    b'{"data": []}', b'{"data": [{}]}', b'{"win": 5, "eid": "nowhere"}', b'{"sid": []}',
    b'{"id": "x", "answer": 5}', b'{"path": 5, "name": []}', b'{"path": "\\u0000", "name": "x"}',
    b'{"path": "/x", "name": "x", "max_windows": "many"}', b'{"action": "run", "job": 1e999}',
    b'{"action": [], "settings": 5}', b'{"action": "run", "settings": [1]}',
    b'{"username": 1, "password": 2}',
)  # fmt: skip


@pytest.fixture(scope="module")
def board(_own_state: None) -> Iterator[Server]:
    """A board of these tests alone: some of the bodies mean "close all windows"."""
    server = ensure(VisdomConfig(port=free_port()))
    yield server
    stop(server.port)


def post(board: Server, path: str, body: bytes, secret: str = "") -> tuple[int, str]:
    head = (
        f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{board.port}\nContent-Type: application/json\n"
        f"X-Sdviz-Token: {board.token}\nX-Sdviz-Page: {secret}\nContent-Length: {len(body)}\n\n"
    )
    return raw(board.port, head, body)


@pytest.fixture
def quiet(board: Server) -> Iterator[None]:
    """Nothing in a test is news for the log."""
    log = BoardState.of_port(board.port).log
    before = log.stat().st_size
    yield
    assert log.read_text(errors="replace")[before:] == ""


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("path", [*VISDOMS, *OURS])
def test_a_body_without_sense_is_a_400(board: Server, ask: Ask, path: str) -> None:
    secret = json.loads(ask("GET", "/sdviz/live/state")[2])["secret"]
    before = json.loads(ask("POST", "/env_state", {})[2])
    for body in BODIES:
        if path in ("/sdviz/stop", "/sdviz/hello", "/sdviz/live/commands"):
            continue  # they take no body, and do what is asked of them
        status, text = post(board, path, body, secret)
        assert status in (200, 400, 403, 404), (path, body[:60], status, text[:200])
        assert status == 400 or body.startswith(b"{"), (path, body[:60], status, text[:200])
        assert "Traceback" not in text
    after = json.loads(ask("POST", "/env_state", {})[2])
    assert set(after) ^ set(before) <= {"nowhere", "live"}


def test_not_even_who_has_the_token_ends_the_board_by_a_wrong_body(board: Server, ask: Ask) -> None:
    for body in BODIES[:11]:
        assert post(board, "/sdviz/live/tell", body)[0] == 400
    assert ask("GET", "/sdviz/")[0] == 200


@pytest.fixture(scope="module")
def home(board: Server, outputs: Path) -> str:
    path = sweeps.write(outputs, "asked", sweeps.make_plan({"cfg": [3]}, width=64)).path
    return f"/sdviz/sweep/{register(board, path, 'asked', 60)}"


def test_head_is_get_without_a_body(board: Server, ask: Ask, home: str) -> None:
    pages = ["/", "/env/main", "/static/js/main.js", "/user/style.css", "/sdviz/", "/sdviz/sweeps"]
    for path in [*pages, f"{home}/", f"{home}/description.json", f"{home}/image/0.png"]:
        status, headers, body = ask("HEAD", path)
        assert (status, body) == (200, b""), path
        assert headers["Content-Type"] == ask("GET", path)[1]["Content-Type"], path
    assert ask("HEAD", f"{home}/image/7.png")[0] == 404


def test_environments_are_compared(board: Server, ask: Ask, outputs: Path) -> None:
    names = []
    for cfg in (3, 7):
        path = sweeps.write(outputs, f"one-{cfg}", sweeps.make_plan({"cfg": [cfg]})).path
        names.append(register(board, path, path.name, 60))
    status, headers, _ = ask("GET", f"/compare/{'+'.join(names)}")
    assert status == 200 and "text/html" in headers["Content-Type"]
    assert ask("GET", "/compare/nowhere+elsewhere")[0] in (200, 404)


@pytest.mark.parametrize(
    "path", ["/", "/env/main", "/static/js/main.js", "/sdviz/", "/sdviz/sweeps", "/sdviz/nothing",
             "/sdviz/health", "/user/style.css", "/static/nothing.js", "/compare/x"],
)  # fmt: skip
def test_every_answer_says_who_may_frame_it(ask: Ask, path: str) -> None:
    served, refused = ask("GET", path)[1], ask("GET", path, Origin="http://evil.example")[1]
    for headers in (served, refused):
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert served["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert "default-src 'none'" in refused["Content-Security-Policy"]
    assert "frame-ancestors" in ask("POST", path, {"x": []})[1]["Content-Security-Policy"]


@pytest.fixture(scope="module")
def named(_own_state: None) -> Iterator[Server]:
    """A board that is reached under further names."""
    server = ensure(VisdomConfig(port=free_port(), hosts=("gpu.example", "https://nb.example:8")))
    yield server
    stop(server.port)


def test_a_named_site_may_frame_it_and_no_other(ask: Ask, named: Server) -> None:
    headers = ask("GET", "/env/main", port=named.port, Host="gpu.example")[1]
    assert headers["Content-Security-Policy"] == (
        "frame-ancestors 'self' http://gpu.example:* https://gpu.example:*"
        " http://nb.example:* https://nb.example:*"
    )


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "origin", ["http://[", "http://]", "//", "http://[::1", "é", "http://x:y:z", "\x7f"]
)
def test_an_origin_without_sense_is_refused(board: Server, origin: str) -> None:
    head = f"GET /env/main HTTP/1.1\nHost: 127.0.0.1:{board.port}\nOrigin: {origin}\n\n"
    status, text = raw(board.port, head)
    assert status in (400, 403) and "Traceback" not in text


@pytest.mark.usefixtures("quiet")
def test_a_token_of_any_letters_is_a_wrong_one(board: Server) -> None:
    for path in OURS:
        head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{board.port}\n"
        head += "Content-Type: application/json\n"
        head += "X-Sdviz-Token: \xfc\xe9\nX-Sdviz-Page: \xfc\nContent-Length: 2\n\n"
        assert raw(board.port, head, b"{}")[0] == 403


def memory(board: Server, ask: Ask) -> int:
    """Bytes of the server, resident."""
    pid = json.loads(ask("GET", "/sdviz/health", X_Sdviz_Token=board.token)[2])["pid"]
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/events", "Origin: http://evil.example\n", 403),
        ("/sdviz/live/do", "", 413),
        ("/env_state", "", 413),
        ("/events", "", 413),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_is_refused_by_its_headers(
    board: Server, ask: Ask, path: str, headers: str, status: int, chunked: bool
) -> None:
    size = 300 << 20
    before = memory(board, ask)
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{board.port}\n{headers}{how}\n\n"
    part = bytes(1 << 20)
    with closing(socket.create_connection(("127.0.0.1", board.port), timeout=30)) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        sent = 0
        try:
            while sent < size:
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                sent += len(part)
                assert memory(board, ask) - before < 100 << 20
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has hung up, as it should
        assert sent < 100 << 20, "it took everything"
        with suppress(ConnectionResetError):
            assert read_answer(connection)[0] in (status, 0)
    assert ask("GET", "/sdviz/")[0] == 200


def test_an_answer_comes_before_the_body(board: Server) -> None:
    """So that who asks first, as curl does, sends nothing at all."""
    for path, origin, status in (("/events", "http://evil.example", 403), ("/env_state", "", 413)):
        head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{board.port}\nExpect: 100-continue\n"
        head += f"Content-Length: {500 << 20}\n" + (f"Origin: {origin}\n" if origin else "") + "\n"
        assert raw(board.port, head)[0] == status


def test_all_bodies_together_have_a_limit(board: Server, ask: Ask) -> None:
    head = f"POST /events HTTP/1.1\r\nHost: 127.0.0.1:{board.port}\r\n"
    head += f"Content-Length: {31 << 20}\r\n\r\n"
    open_ones = [socket.create_connection(("127.0.0.1", board.port)) for _ in range(12)]
    statuses: list[int] = []

    def send(connection: socket.socket) -> None:
        try:
            connection.sendall(head.encode())
            for _ in range(30):
                connection.sendall(bytes(1 << 20))
        except OSError:
            statuses.append(503)

    threads = [threading.Thread(target=send, args=[one]) for one in open_ones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert memory(board, ask) < 500 << 20
    assert ask("GET", "/sdviz/")[0] == 200
    for one in open_ones:
        one.close()
    message = {"data": [{"type": "text", "content": "x" * (8 << 20)}], "win": "w", "eid": "main"}
    for _ in range(100):  # until the server has seen that they are gone
        status = ask("POST", "/events", message)[0]
        if status == 200:
            break
    assert status == 200, "the room is given back"


def test_numbers_reach_the_page_finite(board: Server, ask: Ask) -> None:
    from tests.web.wire import WebSocket

    listener = WebSocket(board.port)
    listener.until(command="register")
    body = '{"data": [{"type": "scatter", "x": [1, NaN], "y": [Infinity, 1e999]}], "win": "nan", '
    status, text = post(board, "/events", (body + '"eid": "main", "layout": {}}').encode())
    assert (status, text) == (200, "nan")
    listener.connection.settimeout(20)
    shown = listener.until(command="window", id="nan")["content"]["data"][0]
    assert (shown["x"], shown["y"]) == ([1, None], [None, None])
    listener.close()


def test_thousands_of_idle_connections_keep_nobody_out(board: Server, ask: Ask) -> None:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 4000:
        pytest.skip("this process may not open so many itself")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    idle = []
    try:
        for _ in range(2500):
            idle.append(socket.create_connection(("127.0.0.1", board.port), timeout=20))
        assert ask("GET", "/sdviz/")[0] == 200
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    assert ask("GET", "/sdviz/sweeps")[0] == 200
