"""Sockets that die, stall or lie: everybody else's page goes on."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sdviz.web.client.launch import Server, register
from tests.archive import sweeps
from tests.web.board import Ask
from tests.web.showing import eventually
from tests.web.wire import WebSocket, handshake


@pytest.fixture
def listener(board: Server) -> Iterator[WebSocket]:
    """A page that looks at the environment `main`."""
    made = WebSocket(board.port)
    made.until(command="register")
    yield made
    made.close()


def note(text: str) -> dict[str, Any]:
    return {"data": [{"type": "text", "content": text}], "win": "note", "eid": "main"}


def show(ask: Ask, text: str) -> tuple[int, bytes]:
    status, _, body = ask("POST", "/events", note(text))
    return status, body


@pytest.mark.parametrize("path", ["/socket", "/vis_socket"])
def test_a_handshake_that_closes_early_is_forgotten(
    board: Server, ask: Ask, listener: WebSocket, outputs: Path, path: str
) -> None:
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", board.port)) as early:
            early.sendall(handshake(board.port, path).encode())
    assert show(ask, path) == (200, b"note")
    assert listener.until(command="window", id="note")["content"] == path
    swept = sweeps.write(outputs, f"early{path[1:]}", sweeps.make_plan({"cfg": [3]})).path
    name = register(board, swept, swept.name, 60)
    assert name in listener.until(command="env_update")["data"], "a new sweep gets its page"
    later = WebSocket(board.port, path)
    assert later.status == 101 and later.read()["command"] in ("register", "alive")
    later.close()


def test_who_does_not_read_is_cut_off_alone(board: Server, ask: Ask, listener: WebSocket) -> None:
    deaf = WebSocket(board.port)
    deaf.until(command="register")
    large = "x" * (4 << 20)
    for number in range(12):
        assert show(ask, f"{number} {large}")[0] == 200
        assert listener.until(command="window", id="note")["content"].startswith(f"{number} ")
    deaf.connection.settimeout(20)

    def ended() -> bool:
        try:
            return deaf.connection.recv(1 << 20) == b""
        except ConnectionResetError:
            return True

    eventually(ended)
    deaf.close()
    assert show(ask, "after")[0] == 200


HOSTILE: list[Any] = [
    "", "nonsense", "[]", "1", "null", "[" * 100_000, b"\xff\xfe", "\ud800",
    {}, {"cmd": 1}, {"cmd": []}, {"cmd": "close"}, {"cmd": "close", "data": {}, "eid": []},
    {"cmd": "close", "data": "x", "eid": "nowhere"},
    {"cmd": "delete_env"}, {"cmd": "delete_env", "eid": "main"},
    {"cmd": "delete_env", "eid": {}}, {"cmd": "delete_env", "eid": "../../x"},
    {"cmd": "save", "data": 5, "eid": "main", "prev_eid": "main"},
    {"cmd": "save", "data": {}, "eid": "a" * 5000, "prev_eid": "main"},
    {"cmd": "save", "data": {}, "eid": "\x00", "prev_eid": "main"},
    {"cmd": "save_layouts", "data": 7}, {"cmd": "save_layouts", "data": "no JSON"},
    {"cmd": "forward_to_vis", "data": [1]}, {"cmd": "forward_to_vis", "data": {"eid": "main"}},
    {"cmd": "layout_item_update", "eid": "main", "win": {}, "data": 1},
    {"cmd": "pop_embeddings_pane", "data": {"eid": "main", "target": "note"}},
    {"cmd": "undo", "eid": 3}, {"cmd": "update_comment", "eid": "main", "win": [], "data": "x"},
    {"cmd": "echo", "data": "x"},
]  # fmt: skip


@pytest.mark.parametrize("path", ["/socket", "/vis_socket"])
def test_frames_without_sense_change_nothing(
    board: Server, ask: Ask, listener: WebSocket, path: str
) -> None:
    before = json.loads(ask("POST", "/env_state", {})[2])
    hostile = WebSocket(board.port, path)
    for frame in HOSTILE:
        try:
            hostile.send(frame, code=2 if isinstance(frame, bytes) else 1)
        except OSError:  # the server has hung up, as it may
            hostile.close()
            hostile = WebSocket(board.port, path)
    assert show(ask, "still there")[0] == 200
    assert listener.until(command="window", id="note")["content"] == "still there"
    after = json.loads(ask("POST", "/env_state", {})[2])
    assert after == before
    fresh = WebSocket(board.port)
    assert json.loads(fresh.until(command="layout_update")["data"] or "[]") == []
    for one in (hostile, fresh):
        one.close()


@pytest.mark.parametrize("how", ["address", "events", "save", "fork", "upload", "socket"])
def test_no_name_leads_out_of_visdoms_folder(
    board: Server, ask: Ask, listener: WebSocket, tmp_path: Path, how: str
) -> None:
    theirs = tmp_path / "model_index.json"
    theirs.write_text('{"jsons": {}, "reload": {}}')
    name = str(theirs.with_suffix(""))
    ask("POST", "/env/x", {"eid": name})
    match how:
        case "address":
            ask("POST", f"/env/{name}", {"sid": "x", "eid": name})
            ask("POST", "/delete_env", {"eid": name})
        case "events":
            ask("POST", "/events", {"data": [{"type": "text", "content": "x"}], "eid": name})
            ask("POST", "/delete_env", {"eid": f"../../..{name}"})
        case "save":
            ask("POST", "/save", {"data": [name, f"../..{name}"]})
        case "fork":
            ask("POST", "/fork_env", {"prev_eid": "main", "eid": name})
        case "upload":
            ask("POST", "/win_data", {"eid": name, "win": None, "data": "{}"})
            ask("POST", "/delete_env", {"eid": name})
        case "socket":
            for eid in (name, f"../../../..{name}", f"{name}\x00"):
                listener.send({"cmd": "save", "eid": eid, "prev_eid": "main", "data": {}})
                listener.send({"cmd": "delete_env", "eid": eid})
            listener.settle()
    assert theirs.read_text() == '{"jsons": {}, "reload": {}}'
    for one in json.loads(ask("POST", "/env_state", {})[2]):
        assert "/" not in one and not one.startswith(".")


def test_a_page_that_polls_is_served_and_forgotten(board: Server, ask: Ask) -> None:
    sid = json.loads(ask("GET", "/socket_wrap")[2])["sid"]
    query = {"message_type": "query", "sid": sid}
    heard = [json.loads(m) for m in json.loads(ask("POST", "/socket_wrap", query)[2])["messages"]]
    assert "register" in [message["command"] for message in heard]
    for message in ("nonsense", 5, {"cmd": "close"}, '{"cmd": "delete_env", "eid": "../x"}'):
        sent = {"message_type": "send", "sid": sid, "message": message}
        assert ask("POST", "/socket_wrap", sent)[0] == 400
    with closing(http.client.HTTPConnection("127.0.0.1", board.port, timeout=30)) as connection:
        for _ in range(1100):
            connection.request("POST", "/events", json.dumps(note("x")))
            assert connection.getresponse().read() == b"note"
    told = json.loads(ask("POST", "/socket_wrap", query)[2])
    assert told["success"] is False or len(told["messages"]) <= 1000


@pytest.mark.browser
def test_a_page_stays_online_while_sockets_die(
    board: Server, ask: Ask, outputs: Path, page: Any
) -> None:
    path = sweeps.write(outputs, "online", sweeps.make_plan({"cfg": [3]})).path
    page.goto(board.url(f"/env/{register(board, path, 'online', 60)}"))
    page.get_by_text("online", exact=True).first.wait_for()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", board.port)) as early:
            early.sendall(handshake(board.port).encode())
    ask("POST", "/events", {"data": [{"type": "text", "content": "it goes on"}], "eid": "online"})
    page.get_by_text("it goes on").wait_for()
    page.reload()
    page.get_by_text("it goes on").wait_for()
