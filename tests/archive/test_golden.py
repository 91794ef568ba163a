"""The archive of format 1 that is checked in can be read by every later sdviz."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.events import CellFinished, Frame, Note, SweepStarted
from sdviz.web import describe

GOLDEN = Path(__file__).parent / "golden" / "format-1"


def test_the_golden_archive_is_read(tmp_path: Path) -> None:
    archive = Archive(shutil.copytree(GOLDEN, tmp_path / "format-1"))
    assert (archive.format, archive.name, archive.status) == (1, "format-1", "finished")
    assert archive.axes == {"cfg": [7.0, 15.0], "sampler": ["Euler a"]}
    first, second = archive.cells
    assert first.recipe["prompt"] == '一座 red pyramid, "dusk"'
    assert (first.recipe["negative"], first.recipe["steps"], first.recipe["seed"]) == (
        "blurry", 2, 42,
    )  # fmt: skip
    assert first.key == "3fbc0836ea612dfdeecdccbb6a607e8360cbe0df09ad1f2cf76df835c5a4926c"
    assert second.image == "images/0001-cfg=15-sampler=Euler a.png"
    assert (second.frames, second.timings["denoise_s"], second.timings["batch"]) == (2, 0.03, 6.0)
    assert np.asarray(archive.image(1))[0, 0].tolist() == [0, 0, 190]
    assert archive.frame(1, 1).shape == (16, 16, 3)
    kinds = [type(event) for event in archive.events()]
    assert kinds[0] is SweepStarted
    assert [kinds.count(kind) for kind in (Frame, CellFinished, Note)] == [4, 2, 1]


def test_the_golden_archive_is_whole_and_can_be_described(tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN, tmp_path / "format-1"))
    assert list(verify(root)) == []
    told = describe.description(Archive(root))
    assert told["dims"][0] == {"keys": ["cfg"], "labels": ["7", "15"]}
    assert told["schedules"][0]["sigmas"] == [1.0, 0.0]
