"""Puts windows on a Visdom page from inside its server, both generations alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sdviz.web.visdom.panes import Message
from sdviz.web.visdom.versions import CloseHandler, broadcast_envs, register_window, window


class Windows:
    """The windows of one environment. Unlike Visdom's client, a history arrives with all its
    frames at once.
    """

    def __init__(self, application: Any, environment: str) -> None:
        self._app = application
        self._environment = environment
        self._made: set[str] = set()
        if environment not in application.state:  # a browser that comes early must find it
            application.state[environment] = {"jsons": {}, "reload": {}}
            broadcast_envs(self._visdom())

    def put(self, message: Message) -> None:
        """Show a window or replace it, also in open browsers.

        A window that a person has closed stays closed.
        """
        if message["win"] in self._made and message["win"] not in self.names():
            return
        made = window({**message, "eid": self._environment})
        if made["type"] == "image_history":
            made["content"] = self._padded(message["win"], message["data"][0]["content"])
            made["selected"] = len(message["data"][0]["content"]) - 1
        self._made.add(message["win"])
        register_window(self._visdom(), made, self._environment)

    def _padded(self, win: str, frames: list[Any]) -> list[Any]:
        """A history must not get shorter: a slider behind its end breaks Visdom's page."""
        current = self._app.state.get(self._environment, {}).get("jsons", {}).get(win)
        missing = len(current["content"]) - len(frames) if current is not None else 0
        return frames + frames[-1:] * missing

    def close(self, win: str) -> None:
        """No `put` of the same name may follow: browsers answer by closing it once more."""
        CloseHandler.wrap_func(self._visdom(), {"eid": self._environment, "win": win})

    def names(self) -> list[str]:
        return list(self._app.state.get(self._environment, {}).get("jsons", {}))

    def _visdom(self) -> SimpleNamespace:
        """The attributes of a request handler that Visdom's functions use."""
        return SimpleNamespace(
            state=self._app.state,
            subs=self._app.subs,
            sources=self._app.sources,
            storage=getattr(self._app, "storage", None),  # 0.3
            env_path=self._app.env_path,
            write=lambda text: None,
        )
