"""Messages to a Visdom that is not ours: in a thread, the newest of each window only, never in the
sweep's way.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from sdviz.web.visdom.panes import Message

_TIMEOUT_S = 5.0
_PAUSE_S = 0.2  # between two rounds: five updates a second are all that reach the eye
_RETRY_S = 2.0


class Outbox:
    """Sends messages to `POST /events`. A Visdom that dies costs one warning and gets all windows
    when it is back.
    """

    def __init__(self, port: int, environment: str) -> None:
        self._port, self._environment = port, environment
        self._waiting: dict[str, Callable[[], list[Message]]] = {}
        self._windows: dict[str, list[Message]] = {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        self._changed = threading.Condition()
        self._closing = False
        self._warnings: deque[str] = deque()
        self._thread = threading.Thread(target=self._work, name="sdviz-foreign", daemon=True)
        self._thread.start()

    def put(self, win: str, make: Callable[[], list[Message]]) -> None:
        """Have the window `win` shown as `make` says when its turn comes; replaces what was
        waiting.

        Several messages are the frames of an image history, in order.
        """
        with self._changed:
            self._waiting[win] = make
            self._changed.notify()

    def take_warnings(self) -> list[str]:
        """As of a Warner."""
        return [self._warnings.popleft() for _ in range(len(self._warnings))]

    def close(self, patience_s: float = 3.0) -> None:
        """Send what is waiting, but do not wait long for a server that does not take it."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(patience_s)

    def _work(self) -> None:
        away = False
        while self._wait():
            with self._changed:
                waiting, self._waiting = self._waiting, {}
            made = {win: make() for win, make in waiting.items()}
            self._windows |= made
            # A restarted Visdom has lost all windows.
            reason = self._deliver(self._windows if away else made)
            if reason and not away:
                self._warnings.append(
                    f"Visdom on visdom.port={self._port} does not answer ({reason}); "
                    "the sweep continues"
                )
            away = bool(reason)
            with self._changed:
                if away and self._closing:
                    break
                for win, messages in made.items() if away else ():
                    self._waiting.setdefault(win, partial(list, messages))
                self._changed.wait_for(lambda: self._closing, _RETRY_S if away else _PAUSE_S)
        self._connection.close()

    def _wait(self) -> bool:
        """False when there will be nothing more to send."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return bool(self._waiting)

    def _deliver(self, windows: Mapping[str, list[Message]]) -> str:
        """The reason of a failure; "" if everything arrived."""
        try:
            for messages in windows.values():
                self._send(messages)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()  # opens by itself for the next request
            return str(error) or type(error).__name__
        return ""

    def _send(self, messages: list[Message]) -> None:
        for number, message in enumerate(messages):
            # The first makes the window anew, the others append to it.
            path = "/events" if number == 0 else "/update"
            body = json.dumps({**message, "eid": self._environment}).encode()
            self._connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read().decode(errors="replace")
            if answer.status != 200 or text != message["win"]:
                raise ValueError(f"it answered {answer.status} {text[:80]!r}")
