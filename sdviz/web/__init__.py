"""The page: its data, its server, and the Visdom windows around it.

`FACE` names the modules that other rooms may import.
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
