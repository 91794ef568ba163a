"""Another user of this machine: they may look at a board without a login, and change nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sdviz.web.client.launch import Server, register
from tests.archive import sweeps
from tests.web.board import Ask

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root of a Linux can be another user"
)
NOBODY = 65534

# Run by the other user, without anything of ours that they might not be able to read.
_CLIENT = """
import http.client, json, socket, sys
port, asked = json.loads(sys.argv[1])
def ask(method, path, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    return answer.status, text[:20000]
def send(path, frames):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall((
        f"GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nUpgrade: websocket\\r\\n"
        "Connection: Upgrade\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n"
        "Sec-WebSocket-Version: 13\\r\\n\\r\\n").encode())
    heard = b""
    while b"register" not in heard and b"alive" not in heard:
        heard += connection.recv(65536)
    for frame in frames:
        data = json.dumps(frame).encode()
        size = len(data).to_bytes(2, "big")
        connection.sendall(b"\\x81" + bytes([0x80 | 126]) + size + bytes(4) + data)
    connection.sendall(b"\\x89\\x80" + bytes(4))
    while b"\\x8a\\x00" not in heard:
        heard += connection.recv(65536)
    return 101, "readonly" if b'"readonly": true' in heard else ""
print(json.dumps([send(*one) if len(one) == 2 else ask(*one) for one in asked]))
"""


def as_nobody(server: Server, *asked: Any) -> list[tuple[int, str]]:
    """What another user gets: (status, text) for each (method, path, body, headers)."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python that other users can run")
    done = subprocess.run(
        [python, "-c", _CLIENT, json.dumps([server.port, asked])],
        capture_output=True, text=True, user=NOBODY, group=NOBODY, cwd="/", env={}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(status, text) for status, text in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def home(board: Server, outputs: Path) -> str:
    path = sweeps.write(outputs, "mine", sweeps.make_plan({"cfg": [3]})).path
    return f"/sdviz/sweep/{register(board, path, 'mine', 60)}"


def test_may_look(board: Server, home: str) -> None:
    paths = [
        "/",
        "/env/mine",
        "/sdviz/",
        "/sdviz/sweeps",
        f"{home}/description.json",
        "/sdviz/health",
    ]
    asked = [("GET", path, None, {}) for path in paths]
    asked += [
        ("POST", "/env_state", {}, {}),
        ("POST", "/win_exists", {"eid": "mine", "win": "x"}, {}),
    ]
    asked += [("POST", "/env/mine", {"sid": "none"}, {})]
    assert [status for status, _ in as_nobody(board, *asked)] == [200] * len(asked)


def test_changes_nothing(board: Server, ask: Ask, home: str) -> None:
    window = {"data": [{"type": "text", "content": "mine now"}], "win": "stolen", "eid": "main"}
    ask("POST", "/events", {**window, "win": "kept", "eid": "other"})
    before = json.loads(ask("POST", "/env_state", {})[2])
    ((_, state),) = as_nobody(board, ("GET", "/sdviz/live/state", None, {}))
    page = {"X-Sdviz-Page": json.loads(state)["secret"], "Content-Type": "application/json"}
    own = {"Origin": f"http://127.0.0.1:{board.port}"}
    asked = [
        ("POST", "/events", window, {}),
        ("POST", "/events", window, own),
        ("POST", "/update", {**window, "win": "kept", "eid": "other"}, {}),
        ("POST", "/close", {"eid": "other", "win": "kept"}, {}),
        ("POST", "/delete_env", {"eid": "other"}, {}),
        ("POST", "/fork_env", {"prev_eid": "other", "eid": "fork"}, {}),
        ("POST", "/save", {"data": ["other"]}, {}),
        ("POST", "/env/other", {"eid": "new"}, {}),
        ("POST", "/win_data", {"eid": "other", "win": "kept", "data": "{}"}, {}),
        ("GET", "/socket_wrap", None, {}),
        ("POST", "/vis_socket_wrap", {}, {}),
        ("POST", "/socket_wrap", {"message_type": "send", "sid": "x", "message": "{}"}, {}),
        ("POST", "/sdviz/live/do", {"action": "run", "settings": {}}, {**page, **own}),
        ("POST", "/sdviz/live/tell", {}, {}),
        ("POST", "/sdviz/stop", {}, {}),
        ("POST", "/sdviz/register", {"path": "/", "name": "x"}, {}),
        ("DELETE", "/env/other", None, {}),
    ]
    answers = as_nobody(board, *asked)
    assert [status for status, _ in answers] == [403] * len(asked), answers
    assert "another user" in answers[0][1]
    frames = [
        {"cmd": "delete_env", "eid": "other"},
        {"cmd": "close", "eid": "other", "data": "kept"},
        {"cmd": "save", "eid": "new", "prev_eid": "other", "data": {}},
        {"cmd": "save_layouts", "data": "[1]"},
        {"cmd": "echo", "data": "x"},
    ]
    (told, _) = as_nobody(board, ("/socket", frames), ("/vis_socket", frames))
    assert told[1] == "readonly", "Visdom's page says so"
    assert json.loads(ask("POST", "/env_state", {})[2]) == before
    exists = [
        ask("POST", "/win_exists", {"eid": eid, "win": win})[2]
        for eid, win in (("other", "kept"), ("main", "stolen"))
    ]
    assert exists == [b"true", b"false"]
    assert ask("GET", "/sdviz/")[0] == 200


def test_the_token_of_another_user_cannot_be_read(board: Server) -> None:
    from sdviz.web.client.state import BoardState

    folder = BoardState.of_port(board.port).folder
    for path in (folder, folder / "token"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_process_of_the_same_user_may_write(board: Server, ask: Ask) -> None:
    window = {"data": [{"type": "text", "content": "x"}], "win": "mine", "eid": "main"}
    assert ask("POST", "/events", window)[0] == 200
