"""Visdom's server without Visdom's client.

The package's `__init__` is the client: importing it brings torch (seconds, hundreds of megabytes),
and with 0.3 scikit-learn. The server needs nothing of it, so it is left out while the server's
modules are imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

from sdviz.web.visdom.guarded import guard_polling
from sdviz.web.visdom.template import visdom_folder

visdom_folder()  # raises BoardError if visdom is not installed


def _server_modules(*names: str) -> list[ModuleType]:
    without_client = "visdom" not in sys.modules
    if without_client:
        spec = find_spec("visdom")
        assert spec is not None, "visdom_folder() has checked this"
        sys.modules["visdom"] = module_from_spec(spec)
    try:
        return [import_module(f"visdom.{name}") for name in names]
    finally:
        if without_client:
            del sys.modules["visdom"]  # others may want the client


_app, _web, _sockets, _utils = _server_modules(
    "server.app",
    "server.handlers.web_handlers",
    "server.handlers.socket_handlers",
    "utils.server_utils",
)
Application = _app.Application
tornado_settings = _app.tornado_settings
CloseHandler = _web.CloseHandler
SaveHandler = _web.SaveHandler
broadcast_envs = _utils.broadcast_envs
register_window = _utils.register_window
window = _utils.window

# sdviz.web.server.guard has checked the origin. The check of 0.3 ignores `visdom.hosts` and would
# refuse sockets behind a proxy that changes the Host header.
for _socket in (_sockets.SocketHandler, _sockets.VisSocketHandler):
    _socket.check_origin = lambda self, origin: True
guard_polling(_sockets.SocketWrapper, _sockets.VisSocketWrapper)
# 0.2.4 would look for environments to compare in ~/.visdom; all of them are in memory already.
_web.__dict__["gather_envs"] = lambda state, *_, **__: sorted(state)
