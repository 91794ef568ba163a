"""The archive as a sink: resume, reuse, one writer at a time, and what is left after a kill."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.archive.writing import encoding
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from sdviz.events import CellScored, Note, SweepStarted
from sdviz.plan.cells import Axis, Plan
from tests.archive.sweeps import IDENTITY, events, make_plan, picture, write

PLAN = make_plan({"cfg": [7.0, 15.0], "sampler": ["Euler a", "DPM++ 2M Karras"]})


def test_a_finished_sweep_has_every_picture_frame_and_time(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    archive = Archive(tmp_path / "a")
    assert archive.status == "finished"
    assert archive.axes == {"cfg": [7.0, 15.0], "sampler": ["Euler a", "DPM++ 2M Karras"]}
    for cell, record in zip(PLAN.cells, archive.cells, strict=True):
        assert (record.key, record.status, record.frames) == (cell.key, "done", 3)
        assert np.array_equal(np.asarray(archive.image(cell.index)), picture(cell, 3))
        assert archive.frame(cell.index, 2).shape == (16, 16, 3)
        assert record.timings["denoise_s"] == 0.03
        assert record.timings["save_s"] > 0
        parts = ("encode_s", "denoise_s", "preview_s", "decode_s", "save_s")
        assert record.timings["total_s"] == pytest.approx(
            sum(record.timings[part] for part in parts), abs=1e-5
        )
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        ".lock", "checksums", "config.yaml", "grid.png", "images", "sweep.db",
    ]  # fmt: skip


def test_frames_that_many_threads_encode_are_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = {}
    for threads in (0, 3):
        monkeypatch.setattr(encoding, "spare_threads", lambda device, threads=threads: threads)
        write(tmp_path, f"by-{threads}", PLAN)
        archive = Archive(tmp_path / f"by-{threads}")
        frames[threads] = [
            archive.frame_bytes(cell.index, step) for cell in PLAN.cells for step in (1, 2, 3)
        ]
    assert frames[3] == frames[0]
    assert len(set(frames[0])) > len(PLAN.cells)


@pytest.mark.parametrize(
    ("cores", "device", "threads"),
    [
        (2, "cpu", 0),
        (8, "cpu", 3),
        (2, "cuda", 0),
        (4, "cuda:1", 2),
        (64, "cuda", 8),
        (1, "mps", 0),
    ],
)
def test_a_sweep_on_a_gpu_leaves_cores_to_encode_on(
    cores: int, device: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert encoding.spare_threads(device) == threads


def test_the_same_sweep_again_computes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    before = (tmp_path / "a" / "grid.png").stat().st_mtime_ns
    assert list(write(tmp_path, "a", PLAN).todo) == []
    assert Archive(tmp_path / "a").about("seconds") == 1.5
    assert (tmp_path / "a" / "grid.png").stat().st_mtime_ns == before


def test_a_deleted_or_cut_picture_is_made_again(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    images = sorted((tmp_path / "a" / "images").iterdir())
    images[0].unlink()
    images[3].write_bytes(images[3].read_bytes()[:100])
    writer = write(tmp_path, "a", PLAN)
    assert [cell.index for cell in writer.todo] == [0, 3]
    for cell, record in zip(PLAN.cells, Archive(tmp_path / "a").cells, strict=True):
        assert record.status == "done"
        assert np.array_equal(
            np.asarray(Archive(tmp_path / "a").image(cell.index)), picture(cell, 3)
        )


def test_reuse_false_begins_anew_and_keeps_the_old_archive(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    assert len(write(tmp_path, "a", PLAN, reuse=False).todo) == 4
    assert len(write(tmp_path, "a", PLAN, reuse=False).todo) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.1", "a.2"]
    assert Archive(tmp_path / "a.1").counts() == {"done": 4}


def test_a_wider_sweep_computes_only_what_is_new(tmp_path: Path) -> None:
    write(tmp_path, "narrow", PLAN)
    wide = make_plan({"cfg": [5.0, 7.0, 15.0], "sampler": ["Euler a", "DPM++ 2M Karras"]})
    writer = write(tmp_path, "wide", wide)
    assert [cell.recipe.cfg for cell in writer.todo] == [5.0, 5.0]
    assert [note.text for note in writer.notes] == ["4 cells reused from narrow"]
    archive = Archive(tmp_path / "wide")
    for cell, record in zip(wide.cells, archive.cells, strict=True):
        assert np.array_equal(np.asarray(archive.image(cell.index)), picture(cell, 3))
        assert archive.steps(cell.index) == [1, 2, 3]
        assert record.source == ("" if cell.recipe.cfg == 5.0 else "narrow")
        assert record.image and f"cfg={cell.recipe.cfg:g}" in record.image
    assert writer.todo and not write(tmp_path, "wide", wide).todo


def test_a_wider_sweep_of_the_same_name_extends_the_archive(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    wide = make_plan({"cfg": [5.0, 7.0, 15.0], "sampler": ["Euler a", "DPM++ 2M Karras"]})
    assert len(write(tmp_path, "a", wide).todo) == 2
    archive = Archive(tmp_path / "a")
    assert archive.axes["cfg"] == [5.0, 7.0, 15.0]
    assert len({record.image for record in archive.cells}) == 6
    for cell in wide.cells:
        assert np.array_equal(np.asarray(archive.image(cell.index)), picture(cell, 3))
        assert archive.frame(cell.index, 3).shape == (16, 16, 3)


def test_another_sweep_of_the_same_name_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    with pytest.raises(ArchiveError, match=r"4 of them are not in this sweep.*name=.*reuse=false"):
        write(tmp_path, "a", make_plan({"cfg": [1.0, 2.0]}))
    assert Archive(tmp_path / "a").counts() == {"done": 4}
    assert not (tmp_path / "a" / "sweep.db-wal").exists()


def test_reused_cells_keep_their_scores_and_measures(tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    told = list(events(PLAN, PLAN.cells, "a"))
    told.insert(-1, CellScored(2, {"clip": 27.5}, "a pyramid"))
    for event in told:
        writer.handle(event)
    writer.close()
    assert not write(tmp_path, "b", PLAN).todo
    first, second = Archive(tmp_path / "a"), Archive(tmp_path / "b")
    assert second.scores() == {2: {"scores": {"clip": 27.5}, "caption": "a pyramid"}}
    columns = "cell, step, sigma, timestep, seconds, mean, guidance, webp, crc"
    frames = f"SELECT {columns} FROM frame ORDER BY cell, step"
    assert list(map(tuple, first.query(frames))) == list(map(tuple, second.query(frames)))
    schedules = "SELECT sampler, sigmas, timesteps FROM schedule ORDER BY sampler"
    assert list(map(tuple, first.query(schedules))) == list(map(tuple, second.query(schedules)))


def test_weights_of_another_identity_are_not_reused(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    axes = {"cfg": [7.0, 15.0], "sampler": ["Euler a", "DPM++ 2M Karras"]}
    assert len(write(tmp_path, "b", make_plan(axes, identity="ab" * 32)).todo) == 4


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\\b", "x" * 300, "a\nb"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="name="):
        write(tmp_path, name, PLAN)
    assert list(tmp_path.iterdir()) == []


def test_zipped_axes_and_excluded_cells(tmp_path: Path) -> None:
    whole = make_plan({"cfg": [7.0, 15.0], "seed": [1, 2]})
    plan = Plan(
        axes=(Axis(("cfg", "seed"), ((7.0, 1), (15.0, 2))),),
        cells=[replace(whole.cells[0], coords=(0,)), replace(whole.cells[3], index=1, coords=(1,))],
        excluded=2,
        identities={"miniature": IDENTITY},
    )
    write(tmp_path, "a", plan)
    archive = Archive(tmp_path / "a")
    assert archive.axes == {"cfg": [7.0, 15.0], "seed": [1, 2]}
    assert archive.as_json()["zip"] == [["cfg", "seed"]]
    assert [cell.recipe["seed"] for cell in archive.cells] == [1, 2]
    assert np.array_equal(np.asarray(archive.image(1)), picture(whole.cells[3], 3))
    assert archive.as_json()["excluded"] == 2


def test_the_events_of_an_archive_are_those_of_the_engine(tmp_path: Path) -> None:
    told = [e for e in events(PLAN, PLAN.cells, "a") if type(e).__name__ != "Progress"]
    told.insert(5, Note("preview", "frames by the tiny decoder", {"decoder": "tiny"}))
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    for event in told:
        writer.handle(event)
    writer.close()
    archive = Archive(tmp_path / "a")
    read = list(archive.events())
    assert [type(e) for e in read] == [type(e) for e in told]
    started = read[0]
    assert isinstance(started, SweepStarted)
    assert [c.recipe for c in started.plan.cells] == [c.recipe for c in PLAN.cells]
    assert read[5] == told[5]
    for ours, theirs in zip(read[1:], told[1:], strict=True):
        assert getattr(ours, "cell", None) == getattr(theirs, "cell", None)
        assert getattr(ours, "sigma", None) == getattr(theirs, "sigma", None)


def test_a_thousand_finished_cells_are_recognised_in_three_seconds(tmp_path: Path) -> None:
    plan = make_plan({"seed": list(range(1000))}, steps=1, width=8, height=8)
    ArchiveWriter.open(tmp_path, "a", plan, {}, reuse=True).close()
    with sqlite3.connect(tmp_path / "a" / "sweep.db") as db:
        db.execute("UPDATE cell SET status='done', image='images/' || i || '.png', bytes=1")
    db.close()
    for cell in plan.cells:
        (tmp_path / "a" / "images" / f"{cell.index}.png").write_bytes(b"x")
    started = time.process_time()
    writer = ArchiveWriter.open(tmp_path, "a", plan, {}, reuse=True)
    assert not writer.todo
    writer.close()
    assert time.process_time() - started < 3


def test_config_yaml_is_the_configuration(tmp_path: Path) -> None:
    import yaml

    write(tmp_path, "a", PLAN)
    text = (tmp_path / "a" / "config.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == {"name": "a", "cfg": 7}


def test_png_carries_our_json(tmp_path: Path) -> None:
    write(tmp_path, "a", PLAN)
    archive = Archive(tmp_path / "a")
    with Image.open(archive.image_path(3)) as image:
        own = json.loads(image.info["sdviz"])
    assert own["key"] == PLAN.cells[3].key
    assert own["recipe"]["sampler"] == "DPM++ 2M Karras"
    assert own["timings"]["denoise_s"] == 0.03
