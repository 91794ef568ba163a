"""Random bodies, cookies, headers and socket frames: the board answers or refuses each, soon and in
little memory, touches no file outside of its own folder, and goes on serving others.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, stop
from tests.fuzzing import fuzzed
from tests.web.board import free_port
from tests.web.wire import WebSocket, raw

_MEMORY = 400 << 20  # bytes that the server may take; without visitors it takes some 60 MB

# Names and words that Visdom's messages have, beside any others.
_KEYS = st.sampled_from(
    ["eid", "prev_eid", "win", "data", "cmd", "sid", "content", "type", "opts", "layout", "append",
     "name", "title", "x", "y", "message", "message_type", "target", "pane_data", "action", "given",
     "settings", "job", "i", "jsons", "reload", "delete", "updateDir", "legend", "func", "metrics"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["main", "live", "w", "text", "image", "image_history", "plot", "scatter", "heatmap", "network",
     "embeddings", "properties", "../../x", "/etc/passwd", ".", "..", "a+b", "\x00", "\ud800",
     "close", "save", "delete_env", "save_layouts", "forward_to_vis", "layout_item_update", "echo",
     "pop_embeddings_pane", "undo", "update_comment", "update_plot_layout", "run", "check", "query"]
)  # fmt: skip
_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | _TEXT, inner, max_size=6),
    max_leaves=12,
)
_MESSAGE = st.dictionaries(_KEYS, _JSON, max_size=8)
_WINDOW = st.fixed_dictionaries(
    {
        "data": st.lists(st.fixed_dictionaries({"type": _WORDS, "content": _JSON}), max_size=2),
        "win": _WORDS | _JSON,
        "eid": _WORDS | _JSON,
    },
    optional={"opts": _MESSAGE, "layout": _MESSAGE, "append": st.booleans()},
)
_PATHS = st.sampled_from(
    ["/events", "/update", "/close", "/env/main", "/env/live", "/compare/main+live", "/save",
     "/win_exists", "/win_data", "/win_hash", "/delete_env", "/env_state", "/fork_env", "/",
     "/socket_wrap", "/vis_socket_wrap", "/upload_env", "/experiments/log", "/sdviz/hello",
     "/sdviz/register", "/sdviz/live/tell", "/sdviz/live/answer", "/sdviz/live/do", "/sdviz/x"]
)  # fmt: skip
# Header values as Tornado's parser lets them pass: no line breaks.
_HEADER = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60
)


@pytest.fixture(scope="module")
def fuzzed_board(_own_state: None) -> Iterator[Server]:
    server = ensure(VisdomConfig(port=free_port()))
    yield server
    stop(server.port)


@pytest.fixture(scope="module")
def locked_board(_own_state: None) -> Iterator[Server]:
    server = ensure(VisdomConfig(port=free_port(), password="correct horse"))
    yield server
    stop(server.port)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, _own_state: None) -> Iterator[Path]:
    """All that lies around the boards' folders, which nothing may change."""
    root = tmp_path_factory.getbasetemp()

    def listing() -> list[tuple[str, int]]:
        files = (path for path in root.rglob("*") if "state" not in str(path.relative_to(root)))
        return sorted((str(path), path.stat().st_mtime_ns) for path in files if path.is_file())

    before = listing()
    yield root
    assert listing() == before


def serves(server: Server) -> None:
    """Others are served, and the server has not grown."""
    token = f"X-Sdviz-Token: {server.token}\n"
    status, text = raw(
        server.port, f"GET /sdviz/health HTTP/1.1\nHost: 127.0.0.1:{server.port}\n{token}\n"
    )
    assert status == 200
    pages = Path(f"/proc/{json.loads(text)['pid']}/statm").read_text().split()[1]
    assert int(pages) * 4096 < _MEMORY


def post(server: Server, path: str, body: bytes, headers: str = "") -> tuple[int, str]:
    head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1:{server.port}\n{headers}"
    head += f"X-Sdviz-Token: {server.token}\nContent-Type: application/json\n"
    return raw(server.port, f"{head}Content-Length: {len(body)}\n\n", body)


@fuzzed(300)
@given(path=_PATHS, message=_WINDOW | _MESSAGE | _JSON)
@example(path="/win_data", message={"eid": "main", "win": None, "data": "5"})
@example(path="/events", message={"data": [{"type": "text", "content": 1}], "eid": "a" * 300})
def test_bodies(fuzzed_board: Server, outside: Path, path: str, message: Any) -> None:
    status, text = post(fuzzed_board, path, json.dumps(message).encode())
    assert status in (200, 400, 403, 404, 405, 409), (status, text[:300])
    assert "Traceback" not in text
    serves(fuzzed_board)


@fuzzed(100)
@given(path=_PATHS, body=st.binary(max_size=300))
def test_bytes(fuzzed_board: Server, path: str, body: bytes) -> None:
    status, text = post(fuzzed_board, path, body)
    assert status in (200, 400, 403, 404, 405), (status, text[:300])
    serves(fuzzed_board)


@fuzzed(150)
@given(
    path=st.sampled_from(["/socket", "/vis_socket"]),
    frames=st.lists(
        st.tuples(_MESSAGE | _JSON | st.binary(max_size=50), st.integers(0, 15)), max_size=4
    ),
)
def test_frames(fuzzed_board: Server, outside: Path, path: str, frames: list[Any]) -> None:
    hostile = WebSocket(fuzzed_board.port, path)
    with closing(hostile):
        for frame, code in frames:
            try:
                hostile.send(frame, code if isinstance(frame, bytes) else 1)
            except OSError:
                break  # it was cut off, as it may be
    fresh = WebSocket(fuzzed_board.port)
    with closing(fresh):
        assert fresh.read()["command"] in ("layout_update", "register")
    serves(fuzzed_board)


@fuzzed(150)
@given(
    cookie=_HEADER, origin=_HEADER, token=_HEADER, site=_HEADER, name=st.sampled_from(["", "own"])
)
@example(cookie='theme={"a":1}; a/b=1', origin="http://[", token="\xfc", site="", name="own")
def test_headers(
    locked_board: Server, cookie: str, origin: str, token: str, site: str, name: str
) -> None:
    own = f"sdviz_session_{locked_board.port}=" if name else ""
    head = f"GET /env/main HTTP/1.1\nHost: 127.0.0.1:{locked_board.port}\nCookie: {own}{cookie}\n"
    head += f"Origin: {origin}\nX-Sdviz-Token: {token}\nSec-Fetch-Site: {site}\n\n"
    status, text = raw(locked_board.port, head)
    assert status in (400, 401, 403), (status, text[:300])
    serves(locked_board)


@fuzzed(100)
@given(fields=st.binary(max_size=200), cookie=_HEADER)
def test_logins(locked_board: Server, fields: bytes, cookie: str) -> None:
    head = f"POST /sdviz/login HTTP/1.1\nHost: 127.0.0.1:{locked_board.port}\nCookie: {cookie}\n"
    head += f"Content-Type: application/x-www-form-urlencoded\nContent-Length: {len(fields)}\n\n"
    # Its answer takes a second; what counts is that the next visitor does not wait for it.
    with closing(socket.create_connection(("127.0.0.1", locked_board.port), 20)) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + fields)
    serves(locked_board)


@fuzzed(150)
@given(
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X"]),
    prefix=st.sampled_from(["", "env/", "compare/", "sdviz/sweep/", "static/", "user/", "sdviz/"]),
)
def test_addresses(fuzzed_board: Server, method: str, prefix: str, path: str) -> None:
    head = f"{method} /{prefix}{path} HTTP/1.1\nHost: 127.0.0.1:{fuzzed_board.port}\n\n"
    status, text = raw(fuzzed_board.port, head)
    assert 200 <= status < 500 or status == 0, (status, text[:300])
    serves(fuzzed_board)
