"""Conducts a sweep: opens archive, board and progress bar, lets the engine fill them, and says how
it went.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.archive.machine import machine, versions
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.sweep import late_scores, silent
from sdviz.commands.sweep.interrupt import Interruptible
from sdviz.commands.sweep.sinks import EventLog, Fanout, ProgressBar, Tally
from sdviz.commands.terminal import say
from sdviz.errors import ArchiveError, BoardError, SdvizError
from sdviz.events import CellFailed, Event, Sink, SweepFinished, SweepStarted, warning
from sdviz.models.addons import scores
from sdviz.models.hardware import device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sdviz.plan.cells import Cell
    from sdviz.request.request import Request
    from sdviz.web.client.sink import BoardSink


def conduct(
    request: Request,
    *,
    interrupt: Interruptible | None = None,
    more: Sequence[Sink] = (),
    load: Callable[..., Any] | None = None,
) -> int:
    """Computes what `request` asks for and is not archived yet; returns the exit status.

    0: all is there; 1: cells failed; 130 and 143: Ctrl-C and SIGTERM. Raises SdvizError where it
    cannot go on.

    `interrupt` says when to stop, `more` sinks listen, and `load` takes the place of
    sdviz.models.load: `python -m sdviz.live` steers by them.
    """
    config = request.config
    started = time.perf_counter()
    tally = Tally()
    with interrupt or Interruptible() as interrupt:
        archive = ArchiveWriter.open(
            Path(config.outputs),
            config.name,
            request.plan,
            request.record,
            reuse=config.reuse,
            device=config.device,
        )
        with contextlib.ExitStack() as stack:
            stack.callback(archive.close)
            say(*(note.text for note in archive.notes))
            todo = list(archive.todo)
            unscored = _unscored(request, archive.path, todo)
            if not todo:
                say("nothing to compute: all cells are archived (reuse=false computes them again)")
            if unscored:
                say(f"{_cells(len(unscored), 'archived ')} to score or caption")
            board, unserved = _open_board(request, archive.path)
            page = f" · page {_address(board)}" if board else ""
            if todo:
                of_them = _references(todo)
                say(f"{_cells(len(todo))}{of_them} to compute{page}")
            views: list[Sink] = [tally, ProgressBar(len(todo)), EventLog()]
            views += [*([board] if board else []), *more]
            sinks = Fanout(archive, views)
            if todo:
                for text in (*request.warnings, *unserved):
                    sinks.handle(warning(text))
            else:  # the archive has them, from when its cells were computed
                say(*(f"warning: {text}" for text in (*request.warnings, *unserved)), error=True)
            stack.pop_all()
            with contextlib.closing(sinks):
                status = _denoise(request, todo, sinks, interrupt, load, unscored)
    _say_failures(tally)
    seconds = time.perf_counter() - started
    if status == "interrupted":
        say("Interrupted. Run the same command again to continue.")
    say(f"{_counts(tally)} in {seconds:.1f} s · archive {archive.path}{page}")
    if status == "interrupted":
        return interrupt.exit_status
    return 1 if tally.failed or tally.unscored else 0


def _denoise(
    request: Request,
    todo: Sequence[Cell],
    sinks: Sink,
    interrupt: Interruptible,
    load: Callable[..., Any] | None,
    unscored: dict[Cell, late_scores.Scored],
) -> str:
    """Runs the engine between a sweep's first event and its last; returns the status at the end.

    `unscored` has the archived cells that still need scores or a caption.
    """
    started = time.perf_counter()
    failed = False
    folder = Path(request.config.outputs) / request.config.name
    pictures = silent.Pictures(folder)
    broken: list[ArchiveError] = []  # of the archive: it ends the sweep, whatever guards a cell

    def emit(event: Event) -> None:
        nonlocal failed
        failed = failed or isinstance(event, CellFailed)
        interrupt.patient = True
        pictures.handle(event)
        try:
            sinks.handle(event)
        except ArchiveError as error:
            broken.append(error)
            raise

    def should_stop() -> bool:
        return bool(broken) or interrupt()

    def finish(status: str) -> str:
        emit(SweepFinished(status, time.perf_counter() - started))
        return status

    config = request.config
    here = machine() | (device.described(config.device) if todo else {})
    sinks.handle(SweepStarted(config.name, request.plan, request.record, here, versions()))
    try:
        if todo:
            from sdviz import engine

            engine.run(
                todo,
                plan=request.plan,
                config=config,
                emit=emit,
                should_stop=should_stop,
                load=load,
            )
        if unscored:
            folder = Path(config.outputs) / config.name
            late_scores.score(folder, unscored, config, emit, should_stop)
        if broken:
            raise broken[0]
        if todo:
            for text in silent.warnings(request.plan.cells, pictures.hashes()):
                emit(warning(text))
    except KeyboardInterrupt:
        return finish("interrupted")
    except SdvizError:
        with contextlib.suppress(SdvizError):  # it may be the archive that failed
            finish("failed")
        raise
    if interrupt():
        return finish("interrupted")
    return finish("failed" if failed else "finished")


def _unscored(
    request: Request, archive: Path, todo: Sequence[Cell]
) -> dict[Cell, late_scores.Scored]:
    """Archived cells that lack a score or a caption that is asked for; with what they have."""
    if not scores.is_asked(request.config):
        return {}
    return late_scores.unscored(archive, request.plan, todo, request.config)


def _open_board(request: Request, archive: Path) -> tuple[BoardSink | None, list[str]]:
    """The sweep's page, None where Visdom cannot be had; and what the user should know of it."""
    config = request.config
    if not config.visdom.enabled:
        return None, []
    from sdviz.web.client.sink import BoardSink

    try:
        board = BoardSink.open(config.visdom, archive, config.name)
    except BoardError as error:
        return None, [f"no page: {error}"]
    return board, [board.shortcoming] if board.shortcoming else []


def _address(board: BoardSink) -> str:
    if board.login is None:
        return board.url
    name, password = board.login
    return f"{board.url} (name {name}, password {password})"


def _say_failures(tally: Tally) -> None:
    for index, reason in tally.failed.items():
        say(f"cell {index} failed: {reason}", error=True)
    for text in tally.unscored:
        say(text, error=True)


def _counts(tally: Tally) -> str:
    failed = f", {len(tally.failed):,} failed," if tally.failed else ""
    return f"{_cells(tally.finished)}{failed}"


def _references(todo: Sequence[Cell]) -> str:
    count = sum(cell.reference for cell in todo)
    return f" ({count:,} of them converged references)" if count else ""


def _cells(count: int, what: str = "") -> str:
    return f"{count:,} {what}cell{'s' * (count != 1)}"
