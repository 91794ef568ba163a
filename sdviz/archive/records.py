"""A cell as the archive records it. Its rows may be damaged or come from a stranger."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sdviz.archive.store import loads
from sdviz.errors import ArchiveError
from sdviz.plan.cells import Cell
from sdviz.plan.passes import evaluations_in, steps_in
from sdviz.plan.samplers import known_sampler
from sdviz.plan.settings import Recipe

STATUSES = ("waiting", "running", "done", "failed")
DAMAGED = "damaged"  # the row cannot be understood; everything else stays readable
SECONDS = ("encode_s", "denoise_s", "preview_s", "decode_s", "save_s", "total_s")

# What the cell costs at its sweep's settled pace: in all, and of that for denoising.
COMPARABLE = ("comparable_s", "comparable_denoise_s")


@dataclass(frozen=True)
class CellRecord:
    """One cell: its settings by root key's name, and what became of it."""

    i: int
    coords: tuple[int, ...]
    key: str
    recipe: Mapping[str, Any]
    status: str  # waiting, running, done, failed, damaged
    image: str | None = None  # path relative to the archive
    frames: int = 0  # how many steps have a picture
    last_step: int = 0
    timings: Mapping[str, Any] = field(default_factory=dict)  # seconds; and `batch`, `warmup`
    notes: tuple[str, ...] = ()
    reason: str = ""  # why it failed
    source: str = ""  # the archive that it was copied from
    sha256: str = ""  # of the image file
    pixels: str = ""  # of the image's pixels
    schedule: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The cell as `show --json` prints it; docs/archive.md says what each key means."""
        timings = {name: self.timings.get(name, 0.0) for name in (*SECONDS, "batch")}
        return {
            "key": self.key,
            **self.recipe,
            "status": self.status,
            "image": self.image,
            "frames": self.frames,
            "timings": timings,
            **{name: self.timings.get(name) for name in COMPARABLE},
            "coords": list(self.coords),
            "notes": list(self.notes),
            "reason": self.reason,
            "source": self.source,
        }


def cell_record(row: sqlite3.Row, *, live: bool) -> CellRecord:
    """The record of a row of table `cell`; of status "damaged" where it makes no sense.

    In an archive that nobody is writing (`live` false) no cell is running, whatever its row says.
    """
    try:
        record = _strict(row)
    except (ArchiveError, TypeError, ValueError) as error:
        i = row["i"] if isinstance(row["i"], int) else -1
        return CellRecord(
            i, (), str(row["key"]), {}, DAMAGED, reason=f"its row is damaged: {error}"
        )
    if record.status == "running" and not live:
        return replace(record, status="waiting")
    return record


def _strict(row: sqlite3.Row) -> CellRecord:
    coords, recipe = loads(row["coords"]), loads(row["recipe"])
    timings, notes = loads(row["timings"], {}), loads(row["notes"], [])
    _must(isinstance(coords, list) and all(type(c) is int and c >= 0 for c in coords), "coords")
    _must(isinstance(recipe, dict), "recipe")
    _must(isinstance(timings, dict) and all(_number(v) for v in timings.values()), "timings")
    _must(isinstance(notes, list), "notes")
    _must(row["status"] in STATUSES, "status")
    return CellRecord(
        i=int(row["i"]),
        coords=tuple(coords),
        key=str(row["key"]),
        recipe=recipe,
        status=row["status"],
        image=None if row["image"] is None else str(row["image"]),
        frames=int(row["frames"]),
        last_step=int(row["last_step"]),
        timings=timings,
        notes=tuple(str(note) for note in notes),
        reason=str(row["reason"] or ""),
        source=str(row["source"] or ""),
        sha256=str(row["sha256"] or ""),
        pixels=str(row["pixels"] or ""),
        schedule=None if row["schedule"] is None else int(row["schedule"]),
    )


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"`{what}` cannot be read")


def _number(value: object) -> bool:
    return isinstance(value, (int, float, bool))


def read_scores(data: Any) -> dict[str, Any]:
    """{"scores": {name: number}, "caption": ""} out of a cell's event `cell_scored`; what a
    stranger's row makes no sense of is left out.
    """
    data = data if isinstance(data, dict) else {}
    scores, caption = data.get("scores"), data.get("caption")
    scores = scores if isinstance(scores, dict) else {}
    numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
    return {"scores": numbers, "caption": caption if isinstance(caption, str) else ""}


def plan_cell(record: CellRecord) -> Cell:
    """The cell of a plan again. Settings of a later sdviz are left out."""
    known = {f.name for f in fields(Recipe)}
    settings = {name: value for name, value in record.recipe.items() if name in known}
    return Cell(record.i, record.coords, Recipe(**settings), record.key)


def steps_taken(record: CellRecord) -> int:
    """How many steps the cell takes: not `steps`, where an init image skips some or a second pass
    adds some. What a stranger's row makes no sense of counts as it stands there.
    """
    recipe = record.recipe
    try:
        if recipe.get("init") or recipe.get("hires_scale", 1) != 1:
            return steps_in(plan_cell(record).recipe)
        return int(recipe.get("steps", record.last_step))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return record.last_step


def evaluations_taken(record: CellRecord) -> int | None:
    """How often the cell evaluates the denoiser: Heun does twice a step. None where that is not
    known: the sampler is another pipeline's own, or the row is a stranger's.
    """
    recipe = record.recipe
    sampler, taken = known_sampler(str(recipe.get("sampler"))), steps_taken(record)
    if sampler is None or taken < 1:
        return None
    if recipe.get("hires_scale", 1) == 1:
        return sampler.evaluations(taken)
    try:
        return evaluations_in(plan_cell(record).recipe)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
