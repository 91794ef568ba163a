"""Damaged and malicious archives on the page: each is named with its fault, others are served."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import Server, ensure, register, stop
from tests.archive import sweeps
from tests.web.board import Ask, free_port
from tests.web.showing import eventually
from tests.web.wire import WebSocket


def alter(sql: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with sqlite3.connect(path / "sweep.db") as db:
            db.execute("PRAGMA writable_schema=ON")
            db.executescript(sql)
        db.close()

    return change


def flip(text: bytes, at: int = 0) -> Callable[[Path], None]:
    """Turns the highest bit of one byte, behind the first `text` of the database."""

    def change(path: Path) -> None:
        file = path / "sweep.db"
        data = bytearray(file.read_bytes())
        data[data.index(text) + at] ^= 0x80
        file.write_bytes(data)

    return change


def pipe(name: str) -> Callable[[Path], None]:
    """A named pipe in the place of a file: who opens it waits for a writer."""

    def change(path: Path) -> None:
        for file in path.glob(name):
            file.unlink()
        os.mkfifo(path / name.replace("*", "0000-cfg=3.png"))

    return change


def values(axis: Any) -> Callable[[Path], None]:
    text = json.dumps(axis).replace("'", "''")
    return alter(f"""UPDATE axis SET "values"='{text}'""")


DAMAGED: dict[str, Callable[[Path], None]] = {
    "a flipped bit in the schema": flip(b"CREATE TABLE cell"),
    "a flipped bit in a column's name": flip(b"last_step INTEGER", 3),
    "a flipped bit in the schema's words": flip(b"number in the plan", 2),
    "a renamed column": alter("ALTER TABLE cell RENAME COLUMN status TO state"),
    "a missing table": alter("DROP TABLE event"),
    "a view for a table": alter("DROP TABLE cell; CREATE VIEW cell AS SELECT 1 AS i"),
    "axes of another form": alter("""UPDATE axis SET keys='"cfg"'"""),
    "axes with objects": values([{"a": 1}]),
    "numbers without end": alter(f"UPDATE sweep SET value='{'9' * 5000}'"),
    "a huge axis": values([["x" * (9 << 20)], [7]]),
    "a long axis": values([[number] for number in range(60_000)]),
    "no database": lambda path: (path / "sweep.db").write_bytes(b"SQLite format 3\0" + bytes(500)),
    "half a database": lambda path: os.truncate(path / "sweep.db", 5000),
}
STRANGE: dict[str, Callable[[Path], None]] = {
    "a recipe nested deeply": alter(f"UPDATE cell SET recipe='{'[' * 5000}{']' * 5000}'"),
    "text that is no UTF-8": alter("UPDATE sweep SET value=CAST(x'22ff22' AS TEXT)"),
    "NaN in timings": alter("""UPDATE cell SET timings='{"total_s": NaN, "denoise_s": 1e999}'"""),
    "Infinity in a recipe": alter("""UPDATE cell SET recipe='{"cfg": Infinity, "steps": 3}'"""),
    "NaN along an axis": values([[float("nan")], [float("-inf")]]),
    "seconds of NaN": alter("UPDATE sweep SET value='NaN' WHERE key='seconds'"),
    "seconds of text": alter("""UPDATE sweep SET value='"long"' WHERE key='seconds'"""),
    "a frame's measures": alter("UPDATE frame SET mean=9e999, sigma=-9e999"),
    "a layout to come": alter("UPDATE sweep SET value='1e9' WHERE key='laid_out'"),
    "a pipe for an image": pipe("images/*"),
    "a pipe for the lock": pipe(".lock"),
    "a pipe for the journal": pipe("sweep.db-journal"),
    "a pipe for the log": pipe("sweep.db-wal"),
}


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def strictly(text: bytes) -> Any:
    """JSON as browsers read it."""
    return json.loads(text, parse_constant=no_constant)


def make(folder: Path, name: str, change: Callable[[Path], None] = lambda path: None) -> Path:
    path = sweeps.write(folder, name, sweeps.make_plan({"cfg": [3, 7]}), reuse=False).path
    change(path)
    return path


@pytest.fixture(scope="module")
def board(_own_state: None) -> Iterator[Server]:
    """A board of these tests alone: they would be in the list of everybody's sweeps."""
    server = ensure(VisdomConfig(port=free_port()))
    yield server
    stop(server.port)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An outputs folder of one test."""
    yield tmp_path
    for file in tmp_path.rglob("*"):  # whoever still waits for a pipe is let go
        if file.is_fifo():
            with open(os.open(file, os.O_RDWR | os.O_NONBLOCK), "rb"):
                file.unlink()


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_archive_is_named_and_hides_no_other(
    board: Server, ask: Ask, folder: Path, what: str
) -> None:
    good = make(folder, "good")
    bad = make(folder, "bad", DAMAGED[what])
    page = register(board, bad, f"bad {what}", 60)
    home = f"/sdviz/sweep/{register(board, good, 'good', 60)}"
    assert strictly(ask("GET", f"{home}/description.json")[2])["status"] == "finished"
    told = {one["name"]: one for one in strictly(ask("GET", "/sdviz/sweeps")[2])["sweeps"]}
    assert told["good"]["status"] == "finished"
    status, _, body = ask("GET", f"/sdviz/sweep/{page}/description.json")
    if what == "a flipped bit in the schema's words":  # a comment: nothing needs it
        assert status in (200, 404)
        return
    assert status == 404 and strictly(body)["error"]
    assert told["bad"]["status"] == "damaged" and told["bad"]["reason"]
    pane = eventually(
        lambda: json.loads(ask("POST", "/win_data", {"eid": page, "win": "about"})[2])
    )
    assert "cannot be shown" in pane["content"]
    for path in ("live?since=-1", "cell/0.json", "frame/0/1.webp", "image/0.png", "thumb/0.webp",
                 "pack?f=0.1", "curves?cells=0"):  # fmt: skip
        assert ask("GET", f"/sdviz/sweep/{page}/{path}")[0] in (200, 404), path


@pytest.mark.parametrize("what", STRANGE)
def test_strange_values_reach_browsers_as_json(
    board: Server, ask: Ask, folder: Path, what: str
) -> None:
    make(folder, "good")
    bad = make(folder, "bad", STRANGE[what])
    page = register(board, bad, f"strange {what}", 60)
    listing = strictly(ask("GET", "/sdviz/sweeps")[2])["sweeps"]
    assert {"good", "bad"} <= {one["name"] for one in listing}
    for one in listing:
        assert isinstance(one.get("seconds", 0), float | int | None)
    for path in ("description.json", "live?since=-1", "cell/0.json", "curves?cells=0,1"):
        status, _, body = ask("GET", f"/sdviz/sweep/{page}/{path}")
        assert status in (200, 404, 503), path
        strictly(body)


@pytest.fixture
def alone(_own_state: None) -> Iterator[Server]:
    """A board of one test, whose threads may be stuck."""
    server = ensure(VisdomConfig(port=free_port()))
    yield server
    stop(server.port)


@pytest.mark.parametrize("what", [name for name in STRANGE if "pipe" in name])
def test_a_pipe_holds_nobody_and_the_board_ends(
    alone: Server, ask: Ask, folder: Path, what: str
) -> None:
    good = make(folder, "good")
    bad = make(folder, "bad", STRANGE[what])
    names = [register(alone, path, path.name, 60) for path in (bad, good)]

    def get(path: str) -> tuple[int, bytes]:
        status, _, body = ask("GET", path, port=alone.port)
        return status, body

    def wait(path: str) -> None:
        with suppress(OSError, HTTPException):  # the board ends meanwhile
            get(path)

    waiting = [
        threading.Thread(target=wait, args=[f"/sdviz/sweep/{names[0]}/{path}"], daemon=True)
        for path in ("description.json", "image/0.png", "thumb/0.webp", "cell/0.json", "pack?f=0.0")
        for _ in range(3)
    ]
    for thread in waiting:
        thread.start()
    for path in ("description.json", "image/0.png", "thumb/1.webp", "cell/0.json"):
        assert get(f"/sdviz/sweep/{names[1]}/{path}")[0] == 200, path
    told = {one["name"]: one["status"] for one in json.loads(get("/sdviz/sweeps")[1])["sweeps"]}
    assert told["good"] == "finished" and "bad" in told
    pid = json.loads(get("/sdviz/health")[1])["pid"]
    assert stop(alone.port)
    assert not Path(f"/proc/{pid}").exists(), "it says that it has ended, and has"


def cpu(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("what", ["large axis", "huge axis", "damaged", "time to come", "layout"])
def test_what_did_not_change_is_not_read_again(
    alone: Server, ask: Ask, folder: Path, what: str
) -> None:
    """The server's log of reads is its processor time; seconds of it would be needed each time."""
    many = [[[number] for number in range(200_000)], [7]]
    change: Callable[[Path], None] = {
        "large axis": values([["x" * (4 << 20)], [7]]),
        "huge axis": values(many[0]),
        "damaged": values([[{"a": number}] for number in range(200_000)]),
        "time to come": values(many[0]),
        "layout": alter("UPDATE sweep SET value='1e9' WHERE key='laid_out'"),
    }[what]
    path = make(folder, "large", change)
    if what == "time to come":
        os.utime(path / "sweep.db", (time.time() + 1e6,) * 2)
    pid = json.loads(ask("GET", "/sdviz/health", port=alone.port)[2])["pid"]
    name = register(alone, path, "large", 60)
    listener = WebSocket(alone.port)
    eventually(lambda: name in json.loads(ask("POST", "/env_state", {}, port=alone.port)[2]))

    def quiet() -> bool:
        before = cpu(pid)
        time.sleep(1.5)
        return cpu(pid) - before < 0.3

    eventually(quiet, 60)
    assert quiet() and quiet()
    listener.close()


def test_an_archive_that_is_mended_gets_its_page(board: Server, ask: Ask, folder: Path) -> None:
    good = make(folder, "whole")
    bad = folder / "mended"
    shutil.copytree(good, bad)
    whole = (bad / "sweep.db").read_bytes()
    flip(b"CREATE TABLE cell")(bad)
    page = register(board, bad, "mended", 60)

    def about() -> str:
        status, _, body = ask("POST", "/win_data", {"eid": page, "win": "about"})
        return str(json.loads(body)["content"]) if status == 200 else ""

    eventually(lambda: "cannot be shown" in about())
    (bad / "sweep.db").write_bytes(whole)
    eventually(lambda: "2 of 2 cells" in about() or "2/2" in about() or "a red pyramid" in about())
