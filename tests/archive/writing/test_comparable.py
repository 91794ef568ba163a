"""Comparable seconds in the archive, in its commands, its exports and the page's description."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.archive.command import main
from sdviz.events import ComparableTimes, Event
from sdviz.plan.cells import Plan
from sdviz.web import describe
from sdviz.web.server.feed import _seconds_per_step
from sdviz.web.visdom import plots
from tests.archive.sweeps import events, make_plan

PLAN = make_plan({"sampler": ["Euler a", "DDIM"]})
HOW = {"batch": 32, "settled": True, "device": "cpu"}


def written(outputs: Path, name: str, *more: Event, plan: Plan = PLAN) -> Archive:
    """An archive whose sweep told `more` before its end."""
    writer = ArchiveWriter.open(outputs, name, plan, {"name": name}, reuse=True)
    *first, last = events(plan, writer.todo, name)
    for event in (*first, *more, last):
        writer.handle(event)
    writer.close()
    return Archive(outputs / name)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    told = ComparableTimes("miniature", {0: (0.5, 0.4), 1: (0.5, 0.4)}, 16, False, "cpu")
    final = ComparableTimes("miniature", {0: (0.25, 0.2), 1: (0.26, 0.21)}, 32, True, "cpu")
    return written(tmp_path, "a", told, final)


def test_show_find_and_tables_have_them(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(archive.path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["comparable"] == {"miniature": HOW}
    assert [cell["comparable_s"] for cell in shown["cells"]] == [0.25, 0.26]
    assert [cell["comparable_denoise_s"] for cell in shown["cells"]] == [0.2, 0.21]
    assert all(cell["timings"]["denoise_s"] == 0.03 for cell in shown["cells"]), "what it took"
    main(["show", str(archive.path)])
    text = capsys.readouterr().out
    assert "comparable seconds of miniature: at 32 rows per tick on cpu\n" in text
    main(["find", "comparable_s>0.255", str(tmp_path), "--json"])
    assert [cell["sampler"] for cell in json.loads(capsys.readouterr().out)] == ["DDIM"]
    main(["export", str(archive.path), str(tmp_path / "a.csv")])
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert [row["comparable_s"] for row in csv.DictReader(stream)] == ["0.25", "0.26"]


def test_the_page_has_them_and_hears_of_changes(archive: Archive) -> None:
    described = describe.description(archive)
    assert described["comparable"] == {"miniature": HOW}
    assert [cell["t"]["comparable_s"] for cell in described["cells"]] == [0.25, 0.26]
    news = describe.changes(archive, described["seq"] - 1)
    assert news["comparable"] == {"miniature": HOW}
    shown = plots.times(described)["data"]
    assert shown[0]["name"] == "comparable" and shown[0]["y"] == [0.25, 0.26]
    assert all(one["visible"] == "legendonly" for one in shown[1:]), "what it took: a click away"
    per_step = _seconds_per_step(archive)
    assert [s for _, s in per_step["Euler a"]] == pytest.approx([0.01 * 0.2 / 0.03] * 3)


def test_a_reused_cell_keeps_those_of_its_own_sweep(archive: Archive, tmp_path: Path) -> None:
    wider = make_plan({"sampler": ["Euler a", "DDIM", "Heun"]})
    told = ComparableTimes("miniature", {2: (0.9, 0.8)}, 8, False, "cuda:0")
    again = written(tmp_path, "b", told, plan=wider)
    assert [cell.timings["comparable_s"] for cell in again.cells] == [0.25, 0.26, 0.9]
    described = describe.description(again)
    assert [cell.get("src") for cell in described["cells"]] == ["a", "a", None]
    assert described["comparable"]["miniature"]["device"] == "cuda:0"


def test_where_they_are_not_known_nothing_is_made_up(tmp_path: Path) -> None:
    plain = written(tmp_path, "plain")
    assert plain.as_json()["comparable"] == {}
    assert plain.as_json()["cells"][0]["comparable_s"] is None
    assert "comparable_s" not in describe.description(plain)["cells"][0]["t"]
    copy = tmp_path / "copy"
    shutil.copytree(plain.path, copy)
    with sqlite3.connect(copy / "sweep.db") as db:
        strange = json.dumps({"m": {"batch": "many"}, "n": 3, "o": HOW})
        db.execute("INSERT INTO sweep VALUES ('comparable', ?)", (strange,))
    assert Archive(copy).comparable == {"o": HOW}, "a stranger's"
