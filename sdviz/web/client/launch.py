"""Finds the board on a port, or starts one in the background that outlives its sweep."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdviz.__version__ import __version__
from sdviz.errors import BoardError
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.ports import ask, free_port, holder, look
from sdviz.web.client.state import BoardState

_START_S = 60.0  # Visdom 0.3's first import takes seconds, on a slow disk many
_STOP_S = 10.0
_HUNG_S = 3.0  # for one that does not answer
_RIVAL_S = 3.0


@dataclass(frozen=True)
class Server:
    """A Visdom that answers. `token` is "" for a foreign one, which cannot serve our pictures."""

    port: int
    token: str = ""
    base_url: str = ""
    started: bool = False  # by this call
    login: tuple[str, str] | None = None  # name and password, where the page asks for them

    @property
    def is_ours(self) -> bool:
        return bool(self.token)

    def url(self, path: str = "/") -> str:
        """An address on this machine; behind a proxy the host differs."""
        return f"http://127.0.0.1:{self.port}{self.base_url}{path}"


def ensure(config: VisdomConfig) -> Server:
    """The Visdom on `config.port`, started if there is none. Raises BoardError where something
    else is there.

    A board of ours that is of another version, or lacks what `config` asks for (hosts, base_url,
    listen), is started anew.
    """
    occupant = look(config.port)
    if occupant.kind == "board" and not _suffices(occupant.facts, config):
        stop(config.port)
        occupant = look(config.port)
    if occupant.kind == "other":
        raise BoardError(
            f"visdom.port={config.port} is used by {holder(config.port)}, which is not Visdom. "
            f"Stop it, or choose another port: visdom.port={free_port(config.port)}",
            key="visdom.port",
        )
    if occupant.kind == "visdom":
        return Server(config.port)
    started = occupant.kind == "free"
    if started:
        _start(config)
    return server_on(config.port, started=started)


def register(server: Server, archive: Path, name: str, max_windows: int) -> str:
    """Register an archive with our server, which then shows it; returns the name of its page.
    Raises BoardError.
    """
    body = {"path": str(archive.resolve()), "name": name, "max_windows": max_windows}
    answer = ask(server.port, "POST", "/sdviz/register", body, token=server.token)
    if not isinstance(answer, dict):
        raise BoardError(f"The server on visdom.port={server.port} does not accept {archive}.")
    return str(answer["name"])


def settings_of(config: VisdomConfig) -> dict[str, Any]:
    """The server's settings as JSON; with a password, drawn if need be, where the network can
    reach it.
    """
    password = (config.password or secrets.token_urlsafe(9)) if config.listen else config.password
    base_url = "/" + config.base_url.strip("/") if config.base_url.strip("/") else ""
    return {
        "port": config.port,
        "listen": config.listen,
        "hosts": list(config.hosts),
        "base_url": base_url,
        "username": config.username,
        "password": password,
    }


def stop(port: int) -> bool:
    """End the board on `port`, and return when its process is gone; False where there is none.
    Raises BoardError where it is not ours to end, or does not stop.
    """
    occupant = look(port)
    state = BoardState.of_port(port)
    if occupant.kind == "free":
        return False
    pid = state.server().get("pid")
    if occupant.kind == "board":
        answer = ask(port, "POST", "/sdviz/stop", {}, token=state.token())
        if isinstance(answer, dict):
            _await_end(port, answer.get("stopping"))
            return True
    if isinstance(pid, int) and holder(port).endswith(f"(process {pid})"):
        _kill(pid, signal.SIGTERM)  # ours, but it does not answer
        _await_end(port, pid, _HUNG_S)
        return True
    if occupant.kind == "board":
        raise BoardError(
            f"The server on visdom.port={port} was started by another user; only they can end it."
        )
    raise BoardError(
        f"visdom.port={port} is used by {holder(port)}, which sdviz did not start.",
        key="visdom.port",
    )


def _await_end(port: int, pid: object, patience: float = _STOP_S) -> None:
    """Returns when the process has ended, by force if need be. Raises BoardError if it does not."""
    if not isinstance(pid, int) or pid == os.getpid():  # a server inside of this very program
        return
    for how in (None, signal.SIGKILL):
        if how is not None:
            _kill(pid, how)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if _has_ended(pid):
                return
            time.sleep(0.05)
    raise BoardError(f"The server on visdom.port={port} (process {pid}) does not stop.")


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:  # gone, or its number has become another user's
        return True
    try:
        facts = Path(f"/proc/{pid}/stat").read_text()
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return Path("/proc/self/stat").exists()
    ended = facts.rpartition(")")[2].split()[0] == "Z" and threads <= 1
    if ended:
        with suppress(OSError):
            os.waitpid(pid, os.WNOHANG)  # perhaps it is this process that has started it
    return ended


def running() -> list[int]:
    """The ports on which boards of this user answer."""
    ports = [int(state.folder.name) for state in BoardState.all() if state.folder.name.isdigit()]
    return [port for port in ports if look(port).kind == "board"]


def _suffices(facts: dict[str, object], config: VisdomConfig) -> bool:
    wanted = settings_of(config)
    hosts = facts.get("hosts")
    allowed = set(hosts) if isinstance(hosts, list) else set()
    return (
        facts.get("sdviz") == __version__  # not one from before an update
        and {host.lower() for host in config.hosts} <= allowed
        and (not wanted["base_url"] or wanted["base_url"] == facts.get("base_url"))
        and (not config.listen or bool(facts.get("listen")))
    )


def server_on(port: int, *, started: bool = False) -> Server:
    """The board that answers on `port`; without a token where it is another user's."""
    state = BoardState.of_port(port)
    facts = state.server()
    token = state.token()
    if not token or ask(port, "POST", "/sdviz/hello", {}, token=token) is None:
        return Server(port)  # another user's: treated as a foreign Visdom
    password = str(facts.get("password", ""))
    login = (str(facts.get("username", "")), password) if password else None
    return Server(port, token, str(facts.get("base_url", "")), started, login)


def _start(config: VisdomConfig) -> None:
    """Spawn the server in a new session and wait until it answers."""
    state = BoardState.of_port(config.port)
    try:
        state.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = state.log.open("w")
    except OSError as error:
        raise BoardError(state.unwritable(error)) from None
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sdviz.web.server.server"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=state.folder,  # so that no other folder stays in use
            env={**os.environ, "PYTHONPATH": _python_path()},
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(settings_of(config)).encode())
        process.stdin.close()
    deadline = time.monotonic() + _START_S
    while look(config.port).kind != "board":
        if process.poll() is not None:  # another sweep may have been faster
            deadline = min(deadline, time.monotonic() + _RIVAL_S)
        if time.monotonic() > deadline:
            raise BoardError(_why_not_started(config.port, state))
        time.sleep(0.05)
    process.returncode = 0  # it outlives this process on purpose; Popen would warn of that


def _why_not_started(port: int, state: BoardState) -> str:
    lines = state.log.read_text(errors="replace").strip().splitlines()
    if lines and lines[-1].startswith("visdom.port="):
        return lines[-1]
    last = f": {lines[-1]}" if lines else ""
    return f"Visdom did not start on visdom.port={port}{last}. Its log: {state.log}"


def _python_path() -> str:
    """Lets the server import the same sdviz, even if it is not installed."""
    here = str(Path(__file__).parents[3])
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), here]))


def _kill(pid: int, how: signal.Signals) -> None:
    with suppress(OSError):
        os.kill(pid, how)


def serve_command(port: int, hosts: Sequence[str] = (), base_url: str = "") -> str:
    """The command that starts a board with these settings."""
    named = [f"'visdom.hosts=[{','.join(hosts)}]'"] if hosts else []
    below = [f"visdom.base_url={base_url}"] if base_url else []
    return " ".join(["python -m sdviz.serve", f"visdom.port={port}", *named, *below])
