"""What listens on a port: our board, another Visdom, another program, or nothing."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdviz.web.client.state import BoardState

_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Occupant:
    """`kind`: "free", "board" (`facts` from /sdviz/health), "visdom" (foreign), "other".

    `facts` has only `sdviz` for another user's board with a login.
    """

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)


def look(port: int) -> Occupant:
    """Identifies what listens on `port` of this machine."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)):
            pass
    except ConnectionRefusedError:
        return Occupant("free")
    except OSError:
        return Occupant("other")
    status, facts = _exchange(port, "GET", "/sdviz/health", token=BoardState.of_port(port).token())
    if isinstance(facts, dict) and "sdviz" in facts:
        return Occupant("board", facts)
    # Without any answer it is not Visdom: no second request.
    environments = _exchange(port, "POST", "/env_state", {})[1] if status else None
    return Occupant("visdom" if isinstance(environments, list) else "other")


def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str = "",
    timeout: float = _TIMEOUT_S,
) -> Any:
    """One request to the server on this machine; its JSON, or None where no such answer came."""
    status, answer = _exchange(port, method, path, body, token, timeout)
    return answer if status == 200 else None


def _exchange(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    token: str = "",
    timeout: float = _TIMEOUT_S,
) -> tuple[int, Any]:
    """Status (0: no answer) and JSON (None: something else)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Content-Type": "application/json", **({"X-Sdviz-Token": token} if token else {})}
    status = 0
    try:
        with closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            status = answer.status
            return status, json.loads(answer.read(1_000_000))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return status, None


def free_port(near: int) -> int:
    """A port above `near` that nobody listens on."""
    for port in [*range(near + 1, min(near + 50, 65536)), 0]:
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return near


def holder(port: int) -> str:
    """The process that listens on `port`, as "name (process 12)"; "another process" if
    that is unknown.
    """
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        if _open_files(folder) & inodes:
            return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
    return "another process"


def _open_files(process: Path) -> set[str]:
    names = set()
    try:
        for link in (process / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                names.add(link.readlink().name)
    except OSError:  # gone, or another user's
        pass
    return names


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    return inodes
