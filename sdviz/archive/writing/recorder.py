"""Events into rows and files. Runs on the archive's own thread, between `begin` and `commit`."""

from __future__ import annotations

import hashlib
import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sdviz.archive.paths import ArchivePaths, readable_name
from sdviz.archive.store import dumps, loads
from sdviz.archive.writing.encoding import Encoded
from sdviz.archive.writing.journal import Journal, Schedules, now
from sdviz.archive.writing.png_text import png_texts, timings_json
from sdviz.events import (
    CellFailed,
    CellFinished,
    CellScored,
    CellStarted,
    ComparableTimes,
    Event,
    Frame,
    Note,
    Progress,
    SweepFinished,
    SweepStarted,
)
from sdviz.pictures import files
from sdviz.plan.cells import Cell, Plan
from sdviz.plan.labels import axis_labels

_INSERT_FRAME = "INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass
class _Running:
    """What a cell has written so far."""

    save_s: float = 0.0
    frames: int = 0
    last_step: int = 0
    sigmas: list[float] = field(default_factory=list)
    timesteps: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Adopted:
    """A finished cell of another archive: its row, image file, frames' rows and scores."""

    row: sqlite3.Row
    image: bytes
    frames: Iterable[sqlite3.Row]
    scores: Sequence[Mapping[str, Any]]
    source: str  # name of that archive's folder


class Recorder(Journal):
    """Writes one sweep's events."""

    def __init__(self, paths: ArchivePaths, db: sqlite3.Connection, plan: Plan, name: str) -> None:
        super().__init__(db)
        self._paths, self._plan, self._name = paths, plan, name
        self._running: dict[int, _Running] = {}
        self._touched: set[int] = set()
        self._progress: Progress | None = None
        self._is_paced = False
        self._versions: Mapping[str, str] = {}
        self.ended: SweepFinished | None = None
        self.pictures = 0  # written or copied since the archive was opened
        self._schedules = Schedules(db)
        self._names: set[str] = set()

    def forget(self) -> None:
        """Reads the tables anew, after they were laid out for another plan."""
        self._schedules.load()
        names = self.db.execute("SELECT image FROM cell WHERE image IS NOT NULL")
        self._names = {row[0] for row in names}

    def commit(self) -> None:
        """The same, with the number of frames that have arrived since."""
        self.db.executemany(
            "UPDATE cell SET frames=?, last_step=?, seq=? WHERE i=?",
            (
                (state.frames, state.last_step, self.seq, i)
                for i in self._touched
                if (state := self._running.get(i)) is not None
            ),
        )
        self._touched.clear()
        if self._progress is not None:
            self.put("progress", [self._progress.evaluations, self._progress.total])
            self._progress = None
        super().commit()

    def record(self, event: Event, encoded: Encoded | None = None) -> None:
        """Records the event; `encoded` is the picture of a frame that has one.

        Raises OSError or sqlite3.Error if that fails.
        """
        match event:
            case Frame():
                self._frame(event, encoded)
            case Progress():
                self._progress = event
                if not self._is_paced:  # a model may take a minute to load: the pace begins here
                    self._is_paced = True
                    self.put("paced", [round(time.time(), 2), event.evaluations])
            case CellStarted():
                self._started(event)
            case CellFinished():
                self._finished(event)
            case CellScored():
                scores = {"scores": dict(event.scores), "caption": event.caption}
                self.event("cell_scored", event.cell, scores)
            case ComparableTimes():
                self._comparable(event)
            case CellFailed():
                self._failed(event)
            case Note():
                self.event("note", None, asdict(event))
            case SweepStarted():
                self._sweep_started(event)
            case SweepFinished():
                self.ended = event
                self.put("status", event.status)
                # The times of a continued sweep add up. A run with nothing to do adds none.
                spent = event.seconds if self.pictures else 0.0
                self.put("seconds", (self.get("seconds") or 0.0) + spent)
                self.put("ended", now())

    def _comparable(self, event: ComparableTimes) -> None:
        """Beside what each cell took, what it costs at the settled pace, and how that was made."""
        for i, (total, denoising) in event.seconds.items():
            row = self.db.execute("SELECT timings FROM cell WHERE i=?", (i,)).fetchone()
            timings = loads(row[0], {}) if row else {}
            if timings:
                timings["comparable_s"] = round(total, 6)
                timings["comparable_denoise_s"] = round(denoising, 6)
                self.db.execute(
                    "UPDATE cell SET timings=?, seq=? WHERE i=?", (dumps(timings), self.seq, i)
                )
        made = {"batch": event.batch, "settled": event.settled, "device": event.device}
        self.put("comparable", {**(self.get("comparable") or {}), event.model: made})

    def _sweep_started(self, event: SweepStarted) -> None:
        self.put("status", "running")
        self.put("started", now())
        self.put("paced", None)
        for key, value in (("machine", event.machine), ("versions", event.versions)):
            if value:
                self.put(key, {**(self.get(key) or {}), **value})
        self._versions = self.get("versions") or {}

    def _started(self, event: CellStarted) -> None:
        i = event.cell
        self.db.execute("DELETE FROM frame WHERE cell=?", (i,))
        self.db.execute("DELETE FROM event WHERE cell=?", (i,))
        self._running[i] = _Running()
        self.db.execute(
            "UPDATE cell SET status='running', reason=NULL, frames=0, last_step=0, seq=? WHERE i=?",
            (self.seq, i),
        )
        self.event("cell_started", i, None)

    def _frame(self, event: Frame, encoded: Encoded | None) -> None:
        webp, encode_s = encoded() if encoded else (None, 0.0)
        started = time.perf_counter()
        state = self._running.setdefault(event.cell, _Running())
        measures = [None] * 5 if event.stats is None else vars(event.stats).values()
        self.n += 1
        self.db.execute(
            _INSERT_FRAME,
            (
                self.n, event.cell, event.step, event.sigma, event.timestep, event.seconds,
                *measures, webp, None if webp is None else zlib.crc32(webp),
            ),
        )  # fmt: skip
        state.sigmas.append(event.sigma)
        state.timesteps.append(event.timestep)
        if webp is not None:
            state.frames += 1
            state.last_step = event.step
        self._touched.add(event.cell)
        state.save_s += encode_s + time.perf_counter() - started

    def _finished(self, event: CellFinished) -> None:
        started = time.perf_counter()
        i = event.cell
        cell = self.cell(i)
        state = self._running.pop(i, _Running())
        self._touched.discard(i)
        texts = png_texts(cell, event, name=self._name, plan=self._plan, versions=self._versions)
        data = files.encode_png(event.pixels, texts)
        name = self._image_name(cell)
        # The picture first, its row second: a row that says "done" has its picture.
        self._paths.write(self._paths.image(name), data)
        save_s = state.save_s + time.perf_counter() - started
        self.db.execute(
            "UPDATE cell SET status='done', image=?, bytes=?, sha256=?, pixels=?, reason=NULL,"
            " notes=?, timings=?, frames=?, last_step=?, schedule=?, source=NULL, seq=? WHERE i=?",
            (
                name, len(data), hashlib.sha256(data).hexdigest(), files.pixel_hash(event.pixels),
                dumps(event.notes), dumps(timings_json(event.timings, save_s)), state.frames,
                state.last_step, self._schedule(cell, state), self.seq, i,
            ),
        )  # fmt: skip
        self.event("cell_finished", i, None)
        self.pictures += 1

    def adopt(self, i: int, other: Adopted) -> None:
        """Takes over a finished cell of another archive as cell `i`."""
        cell, row = self.cell(i), other.row
        name = self._image_name(cell)
        self._started(CellStarted(i))
        state = self._running.pop(i)
        for frame in other.frames:
            self.n += 1
            self.db.execute(_INSERT_FRAME, (self.n, i, *tuple(frame)[2:]))
            state.sigmas.append(frame["sigma"])
            state.timesteps.append(frame["timestep"])
        self._paths.write(self._paths.image(name), other.image)
        self.db.execute(
            "UPDATE cell SET status='done', image=?, bytes=?, sha256=?, pixels=?, notes=?,"
            " timings=?, frames=?, last_step=?, schedule=?, source=?, seq=? WHERE i=?",
            (
                name, row["bytes"], row["sha256"], row["pixels"], row["notes"], row["timings"],
                row["frames"], row["last_step"], self._schedule(cell, state), other.source,
                self.seq, i,
            ),
        )  # fmt: skip
        self.event("cell_finished", i, None)
        for scored in other.scores:
            self.event("cell_scored", i, scored)
        self.pictures += 1

    def _failed(self, event: CellFailed) -> None:
        state = self._running.pop(event.cell, _Running())
        self._touched.discard(event.cell)
        self.db.execute(
            "UPDATE cell SET status='failed', reason=?, frames=?, last_step=?, seq=? WHERE i=?",
            (event.reason, state.frames, state.last_step, self.seq, event.cell),
        )
        self.event("cell_failed", event.cell, None)

    def _schedule(self, cell: Cell, state: _Running) -> int | None:
        return self._schedules.identify(cell, state.sigmas, state.timesteps, self.seq)

    def cell(self, i: int) -> Cell:
        return self._plan.everything[i]

    def _image_name(self, cell: Cell) -> str:
        total = len(self._plan.everything)
        labels = axis_labels(self._plan.axes, cell.recipe)
        name = "images/" + readable_name(cell.index, total, labels)
        if name in self._names:  # a cell of an earlier, narrower sweep of this name has it
            name = f"{name[:-4]}-{cell.key[:8]}.png"
        return name
