"""Another site's page in the same browser: it can neither read the sweeps nor steer anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sdviz.web.client.launch import Server, register
from tests.archive import sweeps
from tests.commands.live.test_live import Process
from tests.web.board import Ask

pytestmark = pytest.mark.browser

# What a page can try without the server's leave, and what came of each.
_TRIES = """async ({ board, sweep }) => {
    const came = (promise) => promise.then((value) => value, (error) => `refused: ${error.name}`);
    const element = (tag, attributes) => new Promise((done) => {
        const made = Object.assign(document.createElement(tag), attributes);
        made.onload = () => done("loaded");
        made.onerror = () => done("refused");
        document.body.append(made);
    });
    const window_ = {
        data: [{ type: "text", content: "<script>top.owned = 1</script>" }],
        win: "stolen",
        eid: "main",
    };
    const post = (path, body) => came(fetch(board + path, {
        method: "POST",
        mode: "no-cors", // needs no permission of the server; the answer stays hidden
        headers: { "Content-Type": "text/plain" },
        body: JSON.stringify(body),
    }).then((answer) => answer.type));
    const socket = (path) => new Promise((done) => {
        const made = new WebSocket(board.replace("http", "ws") + path);
        made.onopen = () => done("open");
        made.onmessage = () => done("heard");
        made.onerror = () => done("refused");
    });
    const form = () => {
        const target = Object.assign(document.createElement("iframe"), { name: "target" });
        const made = Object.assign(document.createElement("form"), {
            method: "POST", action: `${board}/events`, enctype: "text/plain", target: "target",
        });
        const field = Object.assign(document.createElement("input"), {
            name: JSON.stringify(window_).slice(0, -1) + ', "x": "', value: '"}',
        });
        made.append(field);
        document.body.append(target, made);
        const done = new Promise((loaded) => { target.onload = () => loaded("loaded"); });
        made.submit();
        return done;
    };
    const picture = `${board}/sdviz/sweep/${sweep}/image/0.png`;
    return {
        read: await came(fetch(`${board}/sdviz/sweeps`).then((answer) => answer.text())),
        state: await came(fetch(`${board}/sdviz/live/state`).then((answer) => answer.text())),
        picture: await element("img", { src: picture }),
        script: await element("script", { src: `${board}/sdviz/sweep/${sweep}/description.json` }),
        sockets: [await socket("/socket"), await socket("/vis_socket")],
        window: await post("/events", window_),
        run: await post("/sdviz/live/do", { action: "run", settings: {} }),
        end: await post("/sdviz/stop", {}),
        form: await form(),
        frame: await element("iframe", { src: `${board}/env/live`, id: "frame" }),
    };
}"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>stranger</title><body></body>")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of a page of another site: `localhost` is another one than 127.0.0.1."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_another_sites_page_reads_nothing_and_steers_nothing(
    board: Server, outputs: Path, ask: Ask, stranger: str, chromium: Any
) -> None:
    path = sweeps.write(outputs, "private", sweeps.make_plan({"cfg": [3, 7]})).path
    sweep = register(board, path, "private", 60)
    process = Process(board)
    page = chromium.new_page()
    try:
        page.goto(stranger)
        own = f"http://127.0.0.1:{board.port}"
        came = page.evaluate(_TRIES, {"board": own, "sweep": sweep})
        framed = [frame.content() for frame in page.frames[1:]]
        page.goto(own + "/env/main")  # a link is followed
        page.get_by_text("online").first.wait_for()
        owned = page.evaluate("() => window.owned")
    finally:
        page.close()
        process.leave()
    for what in ("read", "state"):
        assert came[what].startswith("refused"), came
    assert [came[what] for what in ("picture", "script")] == ["refused"] * 2
    assert came["sockets"] == ["refused", "refused"]
    assert len(framed) == 2 and all("Not allowed from here" in content for content in framed)
    assert process.heard == [] and owned is None
    told = ask("POST", "/win_exists", {"eid": "main", "win": "stolen"})
    assert (told[0], told[2]) == (200, b"false"), "it wrote a window"
    assert ask("GET", "/sdviz/health")[0] == 200, "it ended the server"
