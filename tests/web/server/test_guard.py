"""Foreign names and other sites' pages are refused, everywhere on the server."""

from __future__ import annotations

import pytest

from sdviz.web.client.launch import Server
from sdviz.web.server.guard import Guard, refusal_page
from tests.web.board import Ask

PATHS = [
    "/",
    "/env/main",
    "/static/js/main.js",
    "/sdviz/health",
    "/sdviz/",
    "/sdviz/sweeps",
    "/user/style.css",
]
SOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_name_gets_a_page_that_names_the_key(ask: Ask, path: str) -> None:
    status, _, body = ask("GET", path, Host="gpu.example.com:8443")
    assert status == 403
    assert b"visdom.hosts" in body
    assert b"visdom.hosts=[gpu.example.com]" in body


def test_a_foreign_name_is_shown_as_text(ask: Ask) -> None:
    status, _, body = ask("GET", "/", Host="<script>x</script>")
    assert status in (400, 403)
    assert b"<script>x" not in body


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_another_sites_page_can_neither_write_nor_listen(
    ask: Ask, board: Server, origin: str
) -> None:
    message = {"data": [{"type": "text", "content": "<script>"}], "win": "w", "eid": "main"}
    for path in ("/events", "/update", "/win_data", "/sdviz/stop", "/sdviz/register"):
        assert ask("POST", path, message, Origin=origin)[0] == 403, path
    assert ask("GET", "/socket", Origin=origin, **SOCKET)[0] == 403
    assert ask("GET", "/vis_socket", Origin=origin, **SOCKET)[0] == 403
    own = f"http://127.0.0.1:{board.port}"
    assert ask("POST", "/events", message, Origin=own)[0] == 200


def test_another_site_cannot_embed_pictures_but_may_link(ask: Ask) -> None:
    assert (
        ask("GET", "/sdviz/sweeps", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    )
    assert ask("GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


def test_only_a_named_site_may_put_the_page_in_a_frame() -> None:
    guard = Guard(("notebooks.example.com",), listen=False)
    framed = {
        "Host": "127.0.0.1:6006",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "iframe",
    }
    assert guard.refuses(framed)
    assert guard.refuses({**framed, "Referer": "https://evil.example/"}) == "https://evil.example/"
    assert guard.refuses({**framed, "Referer": "https://notebooks.example.com/lab"}) == ""
    assert guard.refuses({**framed, "Sec-Fetch-Site": "same-origin"}) == ""


def test_commands_need_the_token(ask: Ask, board: Server) -> None:
    for path in ("/sdviz/stop", "/sdviz/register", "/sdviz/hello"):
        assert ask("POST", path, {"path": "/", "name": "x"})[0] == 403
        assert ask("POST", path, {}, X_Sdviz_Token="guess")[0] == 403
    assert ask("POST", "/sdviz/hello", {}, X_Sdviz_Token=board.token)[0] == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:6006", None),
        ("localhost:6006", "http://localhost:6006"),
        ("[::1]:6006", None),
        ("gpu.example.com", "https://gpu.example.com"),
        ("127.0.0.1:6006", "https://gpu.example.com"),  # a proxy that puts its own Host
    ],
)
def test_own_names_pass(host: str, origin: str | None) -> None:
    guard = Guard(("https://GPU.example.com:8443/",), listen=False)
    headers = {"Host": host, **({"Origin": origin} if origin else {})}
    assert guard.refuses(headers) == ""


@pytest.mark.parametrize("entry", ["*.gpu.example", "https://*.GPU.example:8443/"])
def test_a_star_stands_for_every_name_below(entry: str) -> None:
    guard = Guard((entry,), listen=False)
    for host in ("a.gpu.example", "a.b.gpu.example:6006", "x--6006.gpu.example"):
        assert guard.refuses({"Host": host}) == ""
        assert guard.refuses({"Host": "127.0.0.1:6006", "Origin": f"https://{host}"}) == ""
    for host in ("gpu.example", "evil.example", "agpu.example", ".gpu.example", "*.gpu.example",
                 "a.gpu.example.evil.example", "a..gpu.example"):  # fmt: skip
        assert guard.refuses({"Host": host}) == host
    assert "https://*.gpu.example:*" in guard.headers["Content-Security-Policy"]


def test_addresses_pass_only_when_listening() -> None:
    headers = {"Host": "192.168.1.5:6006"}
    assert Guard((), listen=True).refuses(headers) == ""
    assert Guard((), listen=False).refuses(headers)
    assert Guard((), listen=True).refuses({"Host": "rebound.example"})
    assert Guard((), listen=False).refuses({})


def test_the_page_names_the_port() -> None:
    assert "visdom.port=7007" in refusal_page("x.example", 7007)


def test_the_page_keeps_what_the_board_has_already() -> None:
    page = refusal_page("https://x.example:8443", 7007, ("a.example",), "/proxy/7007")
    assert (
        "python -m sdviz.serve visdom.port=7007 'visdom.hosts=[a.example,x.example]'"
        " visdom.base_url=/proxy/7007</pre>"
    ) in page
    assert "<b>" not in refusal_page("<b>", 1).partition("<pre>")[2]
