"""The meeting point of the browsers and of `python -m sdviz.live`, below /sdviz/live/.

The live process holds the model, the queue and the truth; it may not be reached from outside, so it
asks this server for commands and tells it its state. Browsers read that state and leave commands.
All messages are JSON; what the process asks is proven by the board's token, what a page asks by the
secret that it read with the state (another site's page cannot read it).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import tornado.web

from sdviz.web.server.feed import to_json
from sdviz.web.server.handler import Handler
from sdviz.web.server.login import same_secret
from sdviz.web.visdom import panes
from sdviz.web.visdom.windows import Windows

ENVIRONMENT = "live"
_PATIENCE_S = 20.0  # a long poll's longest wait
_ANSWER_S = 30.0  # the live process checks a form in well under a second
_GONE_S = 5.0  # without a question of the live process, it counts as gone
_MOST_WAITING = 100  # commands without an answer yet
_ACTIONS = ("check", "run", "recipe", "picture", "remove", "stop_after", "stop_now")


class Control:
    """The state that all browsers see, and the commands on their way to the live process."""

    def __init__(self, app: Any) -> None:
        self.secret = secrets.token_urlsafe(16)
        self.state: dict[str, Any] = {}
        self.seq = 0
        self._app = app
        self._commands: list[dict[str, Any]] = []
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._asked = float("-inf")  # when the live process asked for commands last
        self._changed = asyncio.Event()
        self._windows: Windows | None = None
        self._shown = ""

    @property
    def is_attached(self) -> bool:
        return time.monotonic() - self._asked < _PATIENCE_S + _GONE_S and bool(self.state)

    def tell(self, state: dict[str, Any]) -> None:
        """The live process's new state; {} when it leaves."""
        self.state = state
        self.seq += 1
        if not state:
            self._commands.clear()
            self.left()
        self._wake()
        self._show(str(state.get("page") or ""))

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """A page's command, and what the live process answers."""
        if not self.is_attached:
            return {"errors": {"": "python -m sdviz.live is not running"}}
        if len(self._answers) >= _MOST_WAITING:
            return {"errors": {"": "too many commands are waiting; try again in a moment"}}
        self._number += 1
        number = self._number
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._commands.append({**command, "id": number})
        self._wake()
        try:
            return dict(await asyncio.wait_for(self._answers[number], _ANSWER_S))
        except asyncio.TimeoutError:
            return {"errors": {"": "python -m sdviz.live does not answer"}}
        finally:
            del self._answers[number]

    async def commands(self, gone: Callable[[], bool]) -> list[dict[str, Any]]:
        """What the live process is to do, as soon as there is something."""
        was_there, self._asked = self.is_attached, time.monotonic()
        if not was_there:
            self._wake()
        await self._until(lambda: bool(self._commands) or gone() or not self.state)
        if gone():
            return []
        self._asked = time.monotonic()
        commands, self._commands = self._commands, []
        return commands

    def left(self) -> None:
        """The live process has hung up: it is gone, or will ask again at once."""
        self._asked = float("-inf")
        self._wake()

    def answer(self, number: int, answer: dict[str, Any]) -> None:
        waiting = self._answers.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def news(self, since: int, *, may_write: bool = True) -> dict[str, Any]:
        """The state for a page that has seen number `since`; with the secret, if it may write."""
        attached = self.is_attached
        await self._until(lambda: self.seq != since or self.is_attached != attached)
        return {
            "seq": self.seq,
            "attached": self.is_attached,
            "secret": self.secret if may_write else "",
            "state": self.state,
        }

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not true() and time.monotonic() < deadline:
            try:
                await asyncio.wait_for(self._changed.wait(), 1.0)
            except asyncio.TimeoutError:
                continue

    def _show(self, page: str) -> None:
        """The control pane, and the sheet of the sweep that runs or ran last."""
        base = self._app.board.base_url
        if self._windows is None:
            self._windows = Windows(self._app, ENVIRONMENT)
            self._windows.put(panes.control(f"{base}/sdviz/live/"))
        if page and page != self._shown:
            self._shown = page
            self._windows.put(panes.sheet(f"{base}/sdviz/sweep/{page}/description.json"))


class TellHandler(Handler):
    """The live process's state, whenever it changes."""

    def post(self) -> None:
        self.require_token()
        self.app.control.tell(self.asked())
        self.finish({})


class CommandsHandler(Handler):
    """The live process's long poll for what pages ask of it."""

    _gone = False

    def on_connection_close(self) -> None:
        self._gone = True
        self.app.control.left()

    async def post(self) -> None:
        self.require_token()
        commands = await self.app.control.commands(lambda: self._gone)
        if not self._gone:
            self.finish({"commands": commands})


class AnswerHandler(Handler):
    """What the live process says to a command: {"id": the command's, "answer": {}}."""

    def post(self) -> None:
        self.require_token()
        match self.asked():
            case {"id": int(number), "answer": dict(answer)}:
                self.app.control.answer(number, answer)
            case _:
                raise tornado.web.HTTPError(400, "this answers no command")
        self.finish({})


class StateHandler(Handler):
    """The pages' long poll for the state."""

    async def get(self) -> None:
        try:
            since = int(self.get_query_argument("since", "-1"))
        except ValueError:
            raise tornado.web.HTTPError(400, "since= is not a number") from None
        may_write = self.app.may_write(self.request)
        self.answer(to_json(await self.app.control.news(since, may_write=may_write)))


class DoHandler(Handler):
    """A page's command: {"action": one of ..., "settings": {name: text}, "job": number}; with
    "given", a recipe as JSON or a PNG in base64, whose form is asked for.
    """

    async def post(self) -> None:
        kind = self.request.headers.get("Content-Type", "")
        secret = self.request.headers.get("X-Sdviz-Page", "")
        if not kind.startswith("application/json"):
            raise tornado.web.HTTPError(415, "only application/json is taken")
        if not same_secret(secret, self.app.control.secret):
            raise tornado.web.HTTPError(403, "the page is out of date; load it again")
        asked = self.asked()
        settings, job = asked.get("settings", {}), asked.get("job", 0)
        if not isinstance(settings, dict) or type(job) is not int or "action" not in asked:
            raise tornado.web.HTTPError(400, "this is not a command")
        command = {
            "action": str(asked["action"]),
            "settings": {name: str(value) for name, value in settings.items()},
            "job": job,
            "given": str(asked.get("given", "")),
        }
        if command["action"] not in _ACTIONS:
            raise tornado.web.HTTPError(400, "there is no such action")
        self.answer(to_json(await self.app.control.do(command)))


def control_routes(shared: dict[str, Any]) -> list[Any]:
    """Tornado's routes; `shared` as those of sdviz.web.server.routes."""
    return [
        (r"/sdviz/live/tell", TellHandler, shared),
        (r"/sdviz/live/commands", CommandsHandler, shared),
        (r"/sdviz/live/answer", AnswerHandler, shared),
        (r"/sdviz/live/state", StateHandler, shared),
        (r"/sdviz/live/do", DoHandler, shared),
    ]
