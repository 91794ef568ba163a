"""The state that a board keeps on disk: one folder per port, readable only by its user.

<state>/sdviz/<port>/
  token        the secret with which a sweep authenticates; web pages cannot read it
  server.json  {pid, port, base_url, listen, username, password} while the server lives
  sweeps.json  {name on the page: folder of the archive}
  server.log   of a background server
  visdom/      Visdom's files
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def state_root() -> Path:
    """`$XDG_STATE_HOME/sdviz`, `~/.local/state/sdviz`, or a temporary folder where neither can be
    written. Never raises: a later write raises the error.
    """
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    wanted = Path(base) / "sdviz"
    if _is_ours(wanted, linked=True):
        return wanted
    try:
        spare = Path(tempfile.gettempdir()) / f"sdviz-{os.getuid()}"
    except OSError:  # there is no temporary folder either
        return wanted
    return spare if _is_ours(spare) else wanted  # or somebody else made it, to read our token


def _is_ours(folder: Path, *, linked: bool = False) -> bool:
    """Whether the folder (created if missing) belongs to this user and can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = folder.stat(follow_symlinks=linked).st_uid
        return owner == os.getuid() and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class BoardState:
    """The state folder of the board on one port."""

    folder: Path

    @classmethod
    def of_port(cls, port: int) -> BoardState:
        return cls(state_root() / str(port))

    @classmethod
    def all(cls) -> list[BoardState]:
        """Those whose server is (or was, at its death) running."""
        return [cls(file.parent) for file in sorted(state_root().glob("*/server.json"))]

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def visdom(self) -> Path:
        return self.folder / "visdom"

    def create(self) -> str:
        """Make the folder and a new token, which is returned."""
        self.visdom.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        token = secrets.token_urlsafe(32)
        self._write("token", token)
        return token

    def unwritable(self, error: OSError) -> str:
        """The message if the folder cannot be written."""
        return (
            f"{self.folder} cannot be written: {error.strerror}. Choose another folder: "
            "XDG_STATE_HOME=FOLDER"
        )

    def token(self) -> str:
        """The server's secret; "" when there is none, or when it is another user's."""
        try:
            return (self.folder / "token").read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""

    def server(self) -> dict[str, Any]:
        return self._read("server.json")

    def save_server(self, facts: dict[str, Any]) -> None:
        self._write("server.json", json.dumps(facts))

    def clear_server(self) -> None:
        (self.folder / "server.json").unlink(missing_ok=True)

    def sweeps(self) -> dict[str, str]:
        return self._read("sweeps.json")

    def save_sweeps(self, sweeps: dict[str, str]) -> None:
        self._write("sweeps.json", json.dumps(sweeps))

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def _write(self, name: str, text: str) -> None:
        """Written aside and renamed, for its user's eyes only."""
        aside = self.folder / f".{name}.{os.getpid()}"
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        aside.replace(self.folder / name)


_NAME_LIMIT = 100
_TAKEN = ("main", "live")  # environments: Visdom's first, with the list of sweeps; the live form


def page_name(name: str) -> str:
    """`name` as Visdom's environments and addresses bear it: [A-Za-z0-9._-], at most 100
    characters.

    Letters beyond ASCII leave a hash of the name behind, so that 测试 and 试验 are two pages. The
    names of sdviz's environments are reserved. (A `+` would ask Visdom to compare two
    environments, a line break would break its page for everybody.)
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")
    if not name.isascii():
        digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:6]
        plain = f"{plain[: _NAME_LIMIT - 7] or 'sweep'}-{digest}"
    if plain.lower() in _TAKEN:
        plain += "-sweep"
    return plain[:_NAME_LIMIT] or "sweep"
