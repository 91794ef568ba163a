"""Finding, starting and ending boards."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from sdviz.errors import BoardError
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import ensure, register, running, stop
from sdviz.web.client.ports import ask, free_port, holder, look
from sdviz.web.client.sink import BoardSink
from sdviz.web.client.state import BoardState
from tests.archive import sweeps


def test_starts_once_and_is_found_again(port: int) -> None:
    first = ensure(VisdomConfig(port=port))
    assert first.started and first.is_ours
    second = ensure(VisdomConfig(port=port))
    assert not second.started and second.token == first.token
    assert port in running()
    assert stop(port) is True
    assert look(port).kind == "free"
    assert stop(port) is False


def test_outlives_the_process_that_started_it(port: int) -> None:
    code = (
        "from sdviz.web.client.launch import ensure; from sdviz.plan.config import VisdomConfig;"
        f"print(ensure(VisdomConfig(port={port})).url())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"http://127.0.0.1:{port}/"
    assert look(port).kind == "board"


def test_listens_on_loopback_only(port: int) -> None:
    ensure(VisdomConfig(port=port))
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [
        line.split()
        for table in tables
        if table.exists()
        for line in table.read_text().splitlines()
    ]
    bound = [line[1] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"]
    assert bound == [f"0100007F:{port:04X}"]


def test_names_what_holds_the_port(port: int) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(
            BoardError, match=rf"visdom.port={port} .*process {os.getpid()}\)"
        ) as error:
            ensure(VisdomConfig(port=port))
        other = int(str(error.value).rpartition("visdom.port=")[2])
        assert other != port and look(other).kind == "free"
        with pytest.raises(BoardError, match="did not start"):
            stop(port)
        assert str(os.getpid()) in holder(port)
    assert free_port(port) != port


def test_a_privileged_port_is_an_error_in_words() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may take any port")
    with pytest.raises(BoardError, match=r"visdom\.port=1 cannot be opened"):
        ensure(VisdomConfig(port=1))


def test_starts_anew_for_another_host_and_keeps_its_pages(port: int, outputs: Path) -> None:
    archive = sweeps.write(outputs, "kept", sweeps.make_plan({"cfg": [3, 7]})).path
    name = register(ensure(VisdomConfig(port=port)), archive, "kept", 60)
    server = ensure(VisdomConfig(port=port, hosts=("gpu.example.com",)))
    assert server.started
    assert ask(port, "GET", "/sdviz/health")["hosts"] == ["gpu.example.com"]
    assert not ensure(VisdomConfig(port=port)).started  # asks for nothing that it lacks
    deadline = time.monotonic() + 20
    while name not in (ask(port, "POST", "/env_state", {}) or []):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_state_folder_is_its_users_alone(port: int) -> None:
    ensure(VisdomConfig(port=port))
    folder = BoardState.of_port(port).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("token", "server.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    stop(port)
    assert not (folder / "server.json").exists()


def test_a_killed_server_is_replaced(port: int) -> None:
    ensure(VisdomConfig(port=port))
    os.kill(ask(port, "GET", "/sdviz/health")["pid"], 9)
    deadline = time.monotonic() + 20
    while look(port).kind != "free":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ensure(VisdomConfig(port=port)).started


def test_imports_no_torch() -> None:
    code = (
        "import sys, sdviz.web.client.sink, sdviz.web.server.app, sdviz.serve;"
        "print({'torch', 'diffusers', 'hydra'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("what", ["file", "folder of the port", "visdom's folder"])
def test_a_state_folder_that_cannot_be_written_is_one_error_in_words(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    places = {"file": "", "folder of the port": f"/{port}", "visdom's folder": f"/{port}/visdom"}
    blocked = f"sdviz{places[what]}"
    (tmp_path / blocked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / blocked).write_text("not a folder")
    if what == "file":  # then a temporary folder takes its place
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        assert ensure(VisdomConfig(port=port)).is_ours
        stop(port)
        return
    with pytest.raises(BoardError, match=f"{port}"):
        BoardSink.open(VisdomConfig(port=port), tmp_path, "x")


def test_stop_returns_when_the_process_is_gone(port: int) -> None:
    server = ensure(VisdomConfig(port=port))
    pid = ask(port, "GET", "/sdviz/health", token=server.token)["pid"]
    assert stop(port)
    assert not Path(f"/proc/{pid}").exists()


def test_stop_ends_a_board_that_does_not_answer(port: int) -> None:
    server = ensure(VisdomConfig(port=port))
    pid = ask(port, "GET", "/sdviz/health", token=server.token)["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert stop(port)
    assert not Path(f"/proc/{pid}").exists() and look(port).kind == "free"


def test_starts_although_a_file_of_visdoms_is_damaged(port: int) -> None:
    folder = BoardState.of_port(port).visdom
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("a", "{"), ("b", "[]"), ("c", "{}"), ("d", '{"jsons": 5, "reload": 5}')):
        (folder / f"{name}.json").write_text(text)
    (folder / "e.json").write_text('{"jsons": {}, "reload": {}}')
    ensure(VisdomConfig(port=port))
    assert sorted(ask(port, "POST", "/env_state", {})) == ["e", "main"]
    assert (folder / "a.damaged").read_text() == "{", "nothing is lost"


@pytest.mark.slow
def test_a_sweep_without_a_board_is_whole_and_warns_once(port: int, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "sdviz").mkdir()
    (tmp_path / "sdviz" / str(port)).write_text("not a folder")
    command = [sys.executable, "-m", "sdviz.sweep", "cfg=7", "steps=1", f"visdom.port={port}"]
    done = subprocess.run(
        [*command, f"outputs={tmp_path / 'outputs'}"],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )
    assert done.returncode == 0
    assert done.stderr.count("no page") == 1 and "Traceback" not in done.stderr
    assert len(list((tmp_path / "outputs").glob("*/images/*.png"))) == 1
