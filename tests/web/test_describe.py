"""What the viewer is fed, for finished sweeps and while another process writes."""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.events import CellScored, Note, Progress
from sdviz.web import describe
from tests.archive.sweeps import events, make_plan, write

PLAN = make_plan({"cfg": [7.0, 15.5], "sampler": ["Euler a", "Heun"]})


def test_a_finished_sweep_in_one_object(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    told = json.loads(json.dumps(describe.description(Archive(tmp_path / "a"))))
    assert (told["format"], told["name"], told["status"]) == (1, "a", "finished")
    assert told["dims"] == [
        {"keys": ["cfg"], "labels": ["7", "15.5"]},
        {"keys": ["sampler"], "labels": ["Euler a", "Heun"]},
    ]
    assert told["fixed"]["prompt"] == "a red pyramid"
    assert "cfg" not in told["fixed"]
    assert [(c["i"], c["c"], c["r"]["cfg"], c["s"], c["f"]) for c in told["cells"]] == [
        (0, [0, 0], 7.0, "done", 3),
        (1, [0, 1], 7.0, "done", 3),
        (2, [1, 0], 15.5, "done", 3),
        (3, [1, 1], 15.5, "done", 3),
    ]
    schedules = told["schedules"]
    assert {(s["sampler"], tuple(s["sigmas"])) for s in schedules} == {
        ("Euler a", (2.0, 1.0, 0.0)),
        ("Heun", (2.0, 1.0, 0.0)),
    }
    assert all(schedules[c["q"]]["sampler"] == c["r"]["sampler"] for c in told["cells"])
    assert told["progress"]["done"] == 4
    assert set(told["cells"][0]["t"]) >= {"denoise_s", "total_s", "batch"}


def test_frames_of_some_steps_are_listed(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    for event in events(PLAN, PLAN.cells[:1], "a"):
        if getattr(event, "step", 0) != 2:
            writer.handle(event)
    writer.close()
    first, second = describe.description(Archive(tmp_path / "a"))["cells"][:2]
    assert (first["f"], first["fs"]) == (3, [1, 3])
    assert "fs" not in second and second["f"] == 0


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.005)


def wait_for(archive: Archive, since: int) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while describe.current_seq(archive) <= since:
        assert time.monotonic() < deadline, "no change was seen"
        time.sleep(0.005)
    return describe.changes(archive, since)


def test_changes_are_told_and_only_those(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    archive = Archive(tmp_path / "a")
    seq = describe.description(archive)["seq"]
    assert describe.changes(archive, seq)["cells"] == []
    started, cell_started, first, second, *rest = events(PLAN, PLAN.cells, "a")
    for event in (started, cell_started, first):
        writer.handle(event)
    told = wait_for(archive, seq)
    assert told["status"] == "running"
    assert [(c["i"], c["s"]) for c in told["cells"]] == [(0, "running")]
    time.sleep(0.2)
    seq = describe.current_seq(archive)
    writer.handle(second)
    writer.handle(Note("batch", "6 rows at a time"))
    told = wait_for(archive, seq)
    assert told["cells"] == [{"i": 0, "s": "running", "f": 2}]
    assert told["notes"] == [{"kind": "batch", "text": "6 rows at a time"}]
    seq = told["seq"]
    for event in rest:
        writer.handle(event)
    writer.close()
    told = describe.changes(archive, seq)
    assert told["status"] == "finished"
    assert {c["s"] for c in told["cells"]} == {"done"}
    assert len(told["schedules"]) == 2


def test_a_new_layout_asks_the_viewer_to_begin_anew(tmp_path: Path) -> None:
    write(tmp_path, "a", make_plan({"cfg": [7.0]}))
    with Archive(tmp_path / "a") as archive:
        seq = describe.description(archive)["seq"]
        assert "reset" not in describe.changes(archive, seq)
        write(tmp_path, "a", make_plan({"cfg": [5.0, 7.0]}))
        assert describe.changes(archive, seq)["reset"] is True
        told = describe.description(archive)
        assert told["dims"][0]["labels"] == ["5", "7"]
        assert describe.changes(archive, told["seq"] + 1)["reset"] is True


def test_the_measures_of_a_cells_frames(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    told = json.loads(json.dumps(describe.cell(Archive(tmp_path / "a"), 2)))
    assert told["recipe"]["cfg"] == 15.5
    assert [frame["step"] for frame in told["frames"]] == [1, 2, 3]
    distances = [frame["distance"] for frame in told["frames"]]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.03, "the last frame is the image, but for WebP"
    assert told["frames"][0]["guidance"] == 0.5
    assert 0 <= told["frames"][0]["clipped"] <= 1


def test_the_largest_seeds_reach_a_browser_exactly(tmp_path: Path) -> None:
    seeds = [42, 2**53 + 1, 2**64 - 1]
    write(tmp_path, "a", make_plan({"seed": seeds}, noise_seed=2**64 - 3))
    archive = Archive(tmp_path / "a")
    read = functools.partial(json.loads, parse_int=float)  # as JavaScript does
    told = read(json.dumps(describe.description(archive)))
    assert [int(cell["r"]["seed"]) for cell in told["cells"]] == seeds
    assert int(told["fixed"]["noise_seed"]) == 2**64 - 3
    assert int(read(json.dumps(describe.cell(archive, 1)))["recipe"]["seed"]) == 2**53 + 1


def test_an_unfinished_cell_has_no_distance(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    for event in itertools.islice(events(PLAN, PLAN.cells, "a"), 4):
        writer.handle(event)
    writer.close()
    told = describe.cell(Archive(tmp_path / "a"), 0)
    assert told["status"] == "waiting"
    assert "distance" not in told["frames"][0]


def test_progress_tells_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the pace since the first tick: what came before, mostly the loading of a model, will not
    come again.
    """
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    archive = Archive(tmp_path / "a")
    coming = events(PLAN, PLAN.cells, "a")

    def until(evaluations: int) -> None:
        for event in coming:
            writer.handle(event)
            if isinstance(event, Progress) and event.evaluations == evaluations:
                break
        eventually(lambda: archive.about("progress") == [evaluations, 20])

    until(5)
    told = describe.progress(archive, live=True)
    assert (told["evaluations"], told["evaluations_total"], told["seconds_left"]) == (5, 20, None)
    until(10)
    first_tick, _ = archive.about("paced")
    monkeypatch.setattr("time.time", lambda: first_tick + 10)
    assert describe.progress(archive, live=True)["seconds_left"] == 20.0
    writer.close()


def test_a_cell_tells_its_evaluations(tmp_path: Path) -> None:
    write(tmp_path, "a", make_plan({"sampler": ["Euler a", "Heun", "PLMS", "FlowMatchEuler"]}))
    cells = describe.description(Archive(tmp_path / "a"))["cells"]
    assert [cell.get("ev") for cell in cells] == [3, 5, 4, None], "Heun's last step takes one"
    # int(3 * 0.67) of the steps, of which Heun's last takes one evaluation.
    settings = {"steps": 3, "init": "a.png", "strength": 0.67}
    write(tmp_path, "b", make_plan({"sampler": ["Euler a", "Heun"]}, **settings))
    write(tmp_path, "c", make_plan({"sampler": ["Euler a"]}, hires_scale=2.0, hires_strength=1.0))
    told = {name: describe.description(Archive(tmp_path / name))["cells"] for name in "bc"}
    assert [cell["ev"] for cell in told["b"]] == [2, 3]
    assert [cell["ev"] for cell in told["c"]] == [6]


def test_scores_are_told_of_finished_and_of_live_sweeps(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    for event in events(PLAN, PLAN.cells[:2], "a"):
        writer.handle(event)
    archive = Archive(tmp_path / "a")
    wait_for(archive, describe.current_seq(archive) - 1)
    time.sleep(0.2)
    seq = describe.description(archive)["seq"]
    writer.handle(CellScored(1, {"clip": 27.5, "aesthetic": 5.1}, "a pyramid"))
    told = wait_for(archive, seq)
    said = {"scores": {"clip": 27.5, "aesthetic": 5.1}, "caption": "a pyramid"}
    assert [(cell["i"], cell["clip"]) for cell in told["cells"]] == [(1, 27.5)]
    assert told["scores"] == {1: said}
    writer.close()
    cells = describe.description(archive)["cells"]
    assert [cell.get("clip") for cell in cells] == [None, 27.5, None, None]
    assert cells[1]["aesthetic"] == 5.1
    shown = archive.as_json()["cells"]
    assert {name: shown[1][name] for name in said} == said
    assert (shown[0]["scores"], shown[0]["caption"]) == ({}, "")
