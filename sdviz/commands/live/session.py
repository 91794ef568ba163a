"""The session of `python -m sdviz.live`: keeps a model loaded and runs what the form asks for.
for.

The main thread computes one sweep after another; a second one listens to the page through the
board's server.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.commands.live.jobs import Job, Steering, Ticker, title
from sdviz.commands.terminal import guarded, say, say_error, say_text
from sdviz.errors import BoardError, ConfigError, SdvizError
from sdviz.events import Event, SweepStarted
from sdviz.web.client.launch import Server, ensure, register, server_on
from sdviz.web.client.ports import ask

if TYPE_CHECKING:
    from sdviz.request.request import Request

USAGE = """\
sdviz live: change settings on a page while the model stays loaded

  python -m sdviz.live                     start with the default settings
  python -m sdviz.live cfg=7,15 model=NAME fill in the form; other keys apply to every run

Keys are those of python -m sdviz.sweep; its --help lists them. Ctrl-C ends it, the page stays.
"""
_DONE = 12  # finished runs that the page lists


_POLL_S = 25.0  # the server answers after 20 s at the latest


_RETRY_S = 1.0
_LONGEST = 300  # characters of a fault that was not foreseen
_LOG = logging.getLogger(__name__)


class Live:
    """The session: queue, current job, and its talk with the board's server."""

    def __init__(self, raw_config: dict[str, Any], first: Request, server: Server) -> None:
        from sdviz.commands.live.form import as_typed
        from sdviz.commands.live.keeper import Keeper

        self._first = first
        self._note = "loading"  # a key of live_text.js's words
        self._raw_config = {**raw_config, "name": "", "dry_run": False}
        self._settings = as_typed(raw_config)
        self._server = server
        self._keeper = Keeper()
        self._numbers = itertools.count(1)
        self._queue: list[Job] = []
        self._now: Job | None = None
        self._done: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._publish()  # the page is there before its address is printed

    def run(self) -> None:
        """Until Ctrl-C or SIGTERM."""
        listener = threading.Thread(target=self._listen, name="sdviz-live", daemon=True)
        listener.start()
        try:
            self._load()
            while True:
                with self._changed:
                    while not self._queue:
                        self._changed.wait(1.0)  # with a limit, so that Ctrl-C is heard
                    self._now = self._queue.pop(0)
                if self._compute(self._now) > 128:
                    return
        except KeyboardInterrupt:
            return
        finally:
            self._closed = True
            self._post("tell", {})

    def _load(self) -> None:
        """The form's first model, so that the first run does not wait for it."""
        config, plan = self._first.config, self._first.plan
        spec = config.models[plan.cells[0].recipe.model]
        self._keeper.load(spec, device=config.device, dtype=plan.dtype)
        self._note = ""
        self._publish()

    def _compute(self, job: Job) -> int:
        """One sweep like any other; returns its exit status."""
        from sdviz.commands.sweep.conduct import conduct

        job.status = "running"
        self._publish()
        status = 2
        try:
            status = conduct(
                job.request,
                interrupt=job.steering,
                more=[job.steering, Ticker(lambda event: self._heard(job, event))],
                load=self._keeper.load,
            )
            job.status = "stopped" if job.steering.asked else ("done" if status == 0 else "failed")
        except SdvizError as error:
            job.status = f"failed: {error}"
        except Exception as error:  # a model or a picture like no other; the next run is another
            _LOG.exception("the run failed")
            job.status = f"failed: {type(error).__name__}: {error}"
        if any(cell.recipe.lora or cell.recipe.vae for cell in job.request.plan.cells):
            self._keeper.forget()
        self._done = [job, *self._done][:_DONE]
        self._now = None
        self._publish()
        return status

    def _listen(self) -> None:
        """The second thread: commands of the page, for as long as the server is there."""
        away = False
        while not self._closed:
            try:
                there = self._listen_once(again=away)
            except Exception:  # the page would say "not running" for ever
                _LOG.exception("the page's server sent an unknown answer")
                there = False
            away = not there
            if away:
                time.sleep(_RETRY_S)

    def _listen_once(self, *, again: bool) -> bool:
        """Waits for commands and obeys them; False where the server is away. `again`: it was."""
        if again:
            self._meet_again()
        reply = self._post("commands", {}, timeout=_POLL_S)
        commands = reply.get("commands") if isinstance(reply, dict) else None
        if not isinstance(commands, list):
            return False
        if again:
            self._publish()
        for command in commands:
            self._post("answer", {"id": command["id"], "answer": self._answer(command)})
        return True

    def _answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a page's command. No command may end the listening."""
        try:
            return self._obey(command)
        except (Exception, SystemExit) as error:
            _LOG.exception("the page's command %r failed", command.get("action"))
            reason = f"{type(error).__name__}: {error}"[:_LONGEST]
            return {"errors": {"": f"this cannot be read; see the terminal: {reason}"}}

    def _meet_again(self) -> None:
        server = server_on(self._server.port)
        if server.is_ours:
            self._server = server

    def _obey(self, command: Mapping[str, Any]) -> dict[str, Any]:
        from sdviz.commands.live.form import field_errors, form_of, form_of_picture

        action = command["action"]
        try:
            if action in ("check", "run"):
                return self._read(command["settings"], run=action == "run")
            if action == "recipe":
                return {"settings": form_of(action, command["given"])}
            if action == "picture":
                form, warnings = form_of_picture(command["given"])
                return {"settings": form, "warnings": warnings}
        except SdvizError as error:
            return {"errors": field_errors(error)}
        if action == "remove":
            with self._changed:
                self._queue = [job for job in self._queue if job.number != command["job"]]
        elif self._now is not None:
            self._now.steering.stop("now" if action == "stop_now" else "after")
        self._publish()
        return {}

    def _read(self, settings: dict[str, str], *, run: bool) -> dict[str, Any]:
        """Plans what the form asks for; raises SdvizError where it cannot be."""
        from sdviz.commands.live.form import prepare
        from sdviz.plan.passes import evaluations

        request = prepare(self._raw_config, settings)
        cells = request.plan.cells
        if run:
            job = Job(next(self._numbers), request, title(request), Steering())
            with self._changed:
                self._queue.append(job)
                self._settings = settings
                self._changed.notify()
            self._publish()
        return {"cells": len(cells), "evaluations": evaluations(cells)}

    def _heard(self, job: Job, event: Event) -> None:
        if isinstance(event, SweepStarted):  # the sweep's page is there now
            config = job.request.config
            archive = Path(config.outputs) / config.name
            with contextlib.suppress(BoardError):  # the sheet comes with the next run
                job.page = register(self._server, archive, config.name, config.visdom.max_windows)
        self._publish()

    def _publish(self) -> None:
        """The state that all browsers see."""
        from sdviz.commands.live.form import choices, defaults

        now, done = self._now, self._done
        last = now or (done[0] if done else None)
        state = {
            "settings": self._settings,
            "choices": choices(),
            "defaults": defaults(),
            "note": self._note,
            "now": now.summary() if now else None,
            "queue": [job.summary() for job in self._queue],
            "done": [job.summary() for job in done],
            "page": last.page if last else "",
        }
        self._post("tell", state)

    def _post(self, what: str, body: dict[str, Any], timeout: float = 3.0) -> Any:
        path = f"/sdviz/live/{what}"
        return ask(self._server.port, "POST", path, body, token=self._server.token, timeout=timeout)


def main() -> int:
    """Ends the program with status 0; returns 2 for what is refused."""
    with guarded(lasting=True):
        return _main()


def _main() -> int:
    arguments = sys.argv[1:]
    if any(argument in ("-h", "--help") for argument in arguments):
        say_text(USAGE)
        return 0
    try:
        live, server = _open(arguments)
        login = f" (name {server.login[0]}, password {server.login[1]})" if server.login else ""
        say(f"Live: {server.url('/env/live')}{login}   (Ctrl-C ends it)")
        live.run()
        # The listener may wait for 20 s more, and a thread torn down within C++ aborts the process.
        sys.stdout.flush()
        os._exit(0)
    except SdvizError as error:
        say_error(error)
        return error.exit_status


def _open(arguments: list[str]) -> tuple[Live, Server]:
    """Reads the command line, finds or starts the board. Raises SdvizError."""
    from sdviz.commands.live.form import as_typed, prepare
    from sdviz.request.compose import compose

    raw_config, _ = compose(arguments)
    request = prepare(raw_config, as_typed(raw_config))  # reports errors before a server starts
    config = request.config.visdom
    if not config.enabled:
        raise ConfigError("visdom.enabled=false: the live page needs Visdom", key="visdom.enabled")
    server = ensure(config)
    if not server.is_ours:
        raise BoardError(
            f"visdom.port={config.port} is used by a Visdom server that sdviz did not start, and "
            "cannot control; choose another port",
            key="visdom.port",
        )
    if (ask(server.port, "GET", "/sdviz/health", token=server.token) or {}).get("live"):
        raise BoardError(
            f"visdom.port={config.port} is used by another `sdviz live`; end that one, or choose "
            "another port",
            key="visdom.port",
        )
    return Live(raw_config, request, server), server
