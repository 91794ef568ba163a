"""The viewer's data of an archive (docs/viewer-data.md): fast, read-only, also for live sweeps."""

from __future__ import annotations

import sqlite3
import time
from calendar import timegm
from collections.abc import Mapping
from typing import Any

import numpy as np

from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord, cell_record, evaluations_taken, steps_taken
from sdviz.archive.store import loads
from sdviz.errors import ArchiveError
from sdviz.pictures.measures import frame_measures
from sdviz.pictures.pixels import Pixels
from sdviz.plan.labels import common_settings, position_label, telling
from sdviz.web.references import References
from sdviz.web.setting_rows import setting_rows, typed_texts

FORMAT = 1
URLS = {
    "frame": "frame/{cell}/{step}.webp",
    "image": "image/{cell}.png",
    "cell": "cell/{cell}.json",
    "live": "live",
}

_CHANGED = """
SELECT * FROM cell
WHERE seq > ? OR i IN (SELECT cell FROM event WHERE kind='cell_scored' AND seq > ?) ORDER BY i
"""


def description(archive: Archive) -> dict[str, Any]:
    """The whole sweep as one JSON object."""
    dims, live = archive.dims, archive.live
    seq = current_seq(archive)  # read first: a change meanwhile is then sent again, not lost
    records = archive.cells
    whole = [cell.recipe for cell in records if cell.recipe]
    fixed = common_settings(list(whole), dims)
    scored, references = archive.scores(), References(archive)
    return {
        "format": FORMAT,
        "name": archive.name,
        "status": archive.status,
        "created": archive.about("created", ""),
        "dims": [
            {"keys": list(a.keys), "labels": [position_label(a, at) for at in range(len(a.values))]}
            for a in dims
        ],
        "fixed": _exact(fixed),
        "settings": setting_rows(),
        "typed": typed_texts(fixed, [varying_settings(recipe, fixed) for recipe in whole]),
        "quiet": [key for key in fixed if key not in telling(fixed)],
        "cells": [
            _whole(archive, record, fixed) | references.flags(record) | _scores(scored, record.i)
            for record in records
        ],
        "schedules": _schedules(archive, 0),
        "urls": dict(URLS),
        "progress": progress(archive, live=live),
        "notes": _notes(archive, 0),
        "comparable": archive.comparable,
        "scores": scored,
        "seq": seq,
    }


def current_seq(archive: Archive) -> int:
    """The number of the last change; one query of a table of some twenty rows."""
    return int(archive.number("seq"))


def changes(archive: Archive, since: int) -> dict[str, Any]:
    """What changed after `since`; {"reset": true} where the description must be read anew."""
    seq = current_seq(archive)
    if since > seq or since < min(archive.number("laid_out"), seq):
        return {"reset": True, "seq": seq}
    live = archive.live
    scored, references = archive.scores(since), References(archive)
    rows = {row["i"]: row for row in archive.query(_CHANGED, (since, since))}
    for i in references.measured_by(rows) - rows.keys():
        rows |= {row["i"]: row for row in archive.query("SELECT * FROM cell WHERE i=?", (i,))}
    first_outside = archive.first_outside
    changed = [cell_record(rows[i], live=live) for i in sorted(rows) if i < first_outside]
    return {
        "seq": seq,
        "status": archive.status,
        "progress": progress(archive, live=live),
        "cells": [
            _changing(archive, record) | references.flags(record) | _scores(scored, record.i)
            for record in changed
        ],
        "notes": _notes(archive, since),
        "comparable": archive.comparable,
        "scores": scored,
        "schedules": _schedules(archive, since),
    }


def cell(archive: Archive, i: int) -> dict[str, Any]:
    """One cell with the measures of its frames; decodes its frames, some milliseconds each."""
    record = archive.cell(i)
    final: Pixels | None = None
    if record.status == "done":
        try:
            final = np.asarray(archive.image(i))
        except ArchiveError:
            final = None  # the frames are still worth showing
    references = References(archive)
    reference = references.pixels(i)
    rows = archive.stream("SELECT * FROM frame WHERE cell=? ORDER BY step", (i,))
    frames = [_frame(row, final, reference) for row in rows]
    if frames:
        # Of the image itself, which WebP moves by more than a converging sampler does.
        frames[-1] |= references.distance(i, final)
    return {
        "i": i,
        "recipe": _exact(record.recipe),
        "key": record.key,
        "status": record.status,
        "reason": record.reason,
        "timings": dict(record.timings),
        "notes": list(record.notes),
        "source": record.source,
        "frames": frames,
    }


def _exact(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings for JavaScript, whose numbers would round a seed beyond 2**53: as text."""
    return {k: str(v) if isinstance(v, int) and v > 2**53 else v for k, v in recipe.items()}


def varying_settings(recipe: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ between cells."""
    return {key: value for key, value in recipe.items() if key not in fixed}


def _whole(archive: Archive, record: CellRecord, fixed: dict[str, Any]) -> dict[str, Any]:
    varying = varying_settings(record.recipe, fixed)
    whole = {"c": list(record.coords), "r": _exact(varying), **_changing(archive, record)}
    taken, evaluations = steps_taken(record), evaluations_taken(record)
    if taken != record.recipe.get("steps", taken):
        whole["n"] = taken
    if evaluations is not None:
        whole["ev"] = evaluations
    return whole


def _scores(scored: dict[int, dict[str, Any]], i: int) -> dict[str, float]:
    """The scores of cell `i` that are plotted over CFG."""
    scores = scored.get(i, {}).get("scores", {})
    return {name: scores[name] for name in ("clip", "aesthetic") if name in scores}


def _changing(archive: Archive, record: CellRecord) -> dict[str, Any]:
    """The fields of a cell that may change, under the description's short names."""
    status = "failed" if record.status == "damaged" else record.status
    short = {"i": record.i, "s": status, "f": record.last_step}
    if record.frames != record.last_step:
        short["fs"] = archive.steps(record.i)
    if record.schedule is not None:
        short["q"] = record.schedule
    if record.image:
        short["img"] = record.image.rpartition("/")[2]
    if record.timings:
        short["t"] = dict(record.timings)
    if record.source:
        short["src"] = record.source
    if record.reason:
        short["e"] = record.reason
    return short


def _schedules(archive: Archive, since: int) -> list[dict[str, Any]]:
    rows = archive.query("SELECT * FROM schedule WHERE seq > ? ORDER BY id", (since,))
    return [
        {
            "sampler": row["sampler"],
            "steps": row["steps"],
            "sigmas": loads(row["sigmas"]),
            "timesteps": loads(row["timesteps"]),
        }
        for row in rows
    ]


def _notes(archive: Archive, since: int) -> list[dict[str, str]]:
    rows = archive.query(
        "SELECT data FROM event WHERE kind='note' AND seq > ? ORDER BY n", (since,)
    )
    notes = [note for row in rows if isinstance(note := loads(row[0], {}), dict)]
    # A continued sweep repeats its notes.
    unique = {(str(n.get("kind")), str(n.get("text"))): None for n in notes}
    return [{"kind": kind, "text": text} for kind, text in unique]


def progress(archive: Archive, *, live: bool) -> dict[str, Any]:
    """Cells and evaluations done, and the seconds left at the rate so far.

    The rate is known after two ticks.
    """
    counts = archive.counts()
    done, total = _evaluations(archive.about("progress"))
    seconds = archive.number("seconds")
    if live:
        seconds = max(0.0, time.time() - _timestamp(archive.about("started", "")))
    left = None
    if live and done:
        spent, since = _paced(archive.about("paced"), seconds)
        left = spent * (total - done) / (done - since) if done > since else None
    return {
        "done": counts.get("done", 0),
        "failed": counts.get("failed", 0),
        "total": sum(counts.values()),
        "evaluations": done,
        "evaluations_total": total,
        "seconds": round(seconds, 2),
        "seconds_left": None if left is None else round(left, 1),
    }


def _evaluations(value: Any) -> tuple[int, int]:
    match value:
        case [int(done), int(total)]:
            return done, total
        case _:
            return 0, 0


def _paced(value: Any, seconds: float) -> tuple[float, int]:
    """The seconds since the first tick and the evaluations done by then; without a first tick,
    `seconds` and 0.
    """
    match value:
        case [float(when) | int(when), int(done)]:
            return max(0.0, time.time() - when), done
        case _:
            return seconds, 0


def _timestamp(text: str) -> float:
    try:
        return float(timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (ValueError, TypeError):
        return time.time()


def _frame(row: sqlite3.Row, final: Pixels | None, reference: Pixels | None) -> dict[str, Any]:
    names = ("step", "sigma", "timestep", "seconds", "mean", "std", "min", "max", "guidance")
    frame = {name: row[name] for name in names if row[name] is not None}
    if row["webp"] is not None:
        frame |= frame_measures(row["webp"], final, reference)
    return frame
