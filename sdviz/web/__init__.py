"""The page: what it is given, the server that gives it, and the Visdom windows around it.

`FACE` names the modules that other rooms import; the rest is this room's own.
"""

from __future__ import annotations

FACE = (
    "client.launch",
    "client.ports",
    "client.sink",
    "client.state",
    "report",
    "server.app",
    "server.server",
    "setting_rows",
)
