"""The archive as a product: find, compare, export, report, replay."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.commands.archive.command import main
from sdviz.pictures.measures import largest_difference, normalized_rms, ssim_of_any_size
from tests.archive.export.test_grid import places
from tests.archive.sweeps import make_plan, picture, write
from tests.archive.twins import AXES, PLAN, run


def test_find_across_archives(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "find", "sampler=heun cfg>5", outputs, "--json"))
    assert {(one["name"], one["sampler"], one["cfg"]) for one in found} == {
        ("a", "Heun", 7.0),
        ("a", "Heun", 15.0),
    }
    text = run(capsys, "find", "prompt~TOWER seed=2 total_s<5", outputs)
    assert "2 cells in 1 archive" in text
    assert "0 cells in 0 archives" in run(capsys, "find", "cfg>99", outputs)


@pytest.mark.parametrize("rule", ["sampler=hoin", "cfg>x", "colour=red", "cfg >", ""])
def test_a_rule_that_makes_no_sense_is_refused(
    outputs: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    assert main(["find", rule, str(outputs)]) == 2
    assert "error:" in capsys.readouterr().err


def test_compare_two_values_of_an_axis(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "worst.png"
    told = json.loads(
        run(
            capsys, "compare", outputs / "a", "--by", "cfg=7", "cfg=15", "--json",
            "--picture", sheet,
        )
    )  # fmt: skip
    assert told["summary"]["pairs"] == 4
    expected = {}
    for cell in PLAN.cells[:4]:
        other = PLAN.cells[cell.index + 4]
        expected[cell.index] = normalized_rms(picture(cell, 3), picture(other, 3))
    for pair in told["pairs"]:
        assert pair["b"] == pair["a"] + 4
        assert pair["rms"] == pytest.approx(expected[pair["a"]], abs=1e-6)
    assert [pair["rms"] for pair in told["pairs"]] == sorted(expected.values(), reverse=True)
    with Image.open(sheet) as image:
        worst = told["pairs"][0]["a"]
        assert places(np.asarray(image), picture(PLAN.cells[worst], 3))


def test_compare_two_sweeps_that_differ_in_one_setting(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "more", make_plan({**AXES, "cfg": [3.0]}, width=32, height=32, prompt="an x"))
    told = json.loads(run(capsys, "compare", outputs / "b", tmp_path / "more", "--json"))
    assert told["summary"]["pairs"] == 4
    write(tmp_path, "same", PLAN)
    text = run(capsys, "compare", outputs / "a", tmp_path / "same")
    assert "8 pairs: 8 equal, 8 within 1/255" in text


def test_distances_agree_with_their_definitions() -> None:
    chance = np.random.default_rng(0)
    a = chance.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + 5, 0, 255).astype(np.uint8)
    assert largest_difference(a, b) == 5
    assert normalized_rms(np.zeros_like(a), np.full_like(a, 255)) == 1.0
    assert ssim_of_any_size(a, a) == pytest.approx(1.0)
    noise = chance.integers(0, 256, a.shape, dtype=np.uint8)
    assert abs(ssim_of_any_size(a, noise)) < 0.2 < ssim_of_any_size(a, b)
    tiny, other = a[:8, :8], b[:8, :8]
    assert ssim_of_any_size(tiny, tiny) == 1.0 and np.isnan(ssim_of_any_size(tiny, other)), (
        "smaller than the window"
    )


def test_a_sheet_with_chosen_rows_columns_and_pages(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    run(
        capsys, "export", outputs / "a", out, "--rows", "seed", "--columns", "cfg",
        "--pages", "sampler",
    )  # fmt: skip
    sheets = [np.asarray(Image.open(tmp_path / f"sheet-{n}.png").convert("RGB")) for n in (1, 2)]
    for cell in PLAN.cells:
        page = cell.coords[1]
        assert len(places(sheets[page], picture(cell, 3))) == 1
        assert not places(sheets[1 - page], picture(cell, 3))
    at = {c.coords: places(sheets[c.coords[1]], picture(c, 3))[0] for c in PLAN.cells}
    assert at[(0, 0, 0)][0] == at[(1, 0, 0)][0] and at[(0, 0, 0)][1] == at[(0, 0, 1)][1]
    assert main(["export", str(outputs / "a"), str(out), "--rows", "colour"]) == 2
    assert "cfg, sampler, seed" in capsys.readouterr().err


def test_hidden_values_leave_no_gap(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "one.png"
    run(capsys, "export", outputs / "a", out, "--only", "cfg=15 seed=2")
    with Image.open(out) as image:
        assert image.width < 280 and image.height < 190
        assert places(np.asarray(image), picture(PLAN.cells[7], 3))


@pytest.mark.parametrize("ending", ["webp", "gif", "mp4"])
def test_films(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    out = tmp_path / f"film.{ending}"
    if ending == "mp4" and subprocess.run(["which", "ffmpeg"], check=False).returncode:
        pytest.skip("no ffmpeg here")
    assert "4 frames" in run(capsys, "export", outputs / "a", out, "--film")
    assert out.stat().st_size > 500
    if ending != "mp4":
        with Image.open(out) as film:
            assert getattr(film, "n_frames", 1) == 4
            film.seek(3)
            assert film.width > 100
    single = tmp_path / f"cell.{ending}"
    assert "4 frames" in run(capsys, "export", outputs / "a", single, "--film", "--cell", 5)


def test_tables(outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "evil", make_plan({"prompt": ["=cmd|' /C calc'!A0", '红, "x"\ny']}))
    for ending in ("csv", "jsonl", "parquet"):
        run(capsys, "export", tmp_path / "evil", tmp_path / f"cells.{ending}")
    with (tmp_path / "cells.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["prompt"] for row in rows] == ["'=cmd|' /C calc'!A0", '红, "x"\ny']
    assert float(rows[0]["denoise_s"]) == 0.03
    lines = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    assert lines[1]["prompt"] == '红, "x"\ny'
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(tmp_path / "cells.parquet").to_pylist()
    assert [row["seed"] for row in table] == [42, 42]


def test_a_rule_asks_the_same_everywhere(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "export", outputs / "a", tmp_path / "c.csv", "--only", "name=a source='' seed=1")
    with (tmp_path / "c.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert [row["seed"] for row in csv.DictReader(stream)] == ["1"] * 4
    rules = ("cfg=7 status=done total_s<5", "cfg=15 status=done")
    told = run(capsys, "compare", outputs / "a", "--by", *rules)
    assert "4 pairs" in told


def test_a_data_set_and_a_zip(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "export", outputs / "a", tmp_path / "set", "--dataset", "--only", "cfg=7")
    lines = (tmp_path / "set" / "metadata.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [one["text"] for one in told] == ["a red pyramid"] * 4
    assert all((tmp_path / "set" / one["file_name"]).is_file() for one in told)
    run(capsys, "export", outputs / "a", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        packed.extractall(tmp_path / "out")
    assert list(verify(tmp_path / "out" / "a")) == []
    with pytest.raises(AssertionError):
        run(capsys, "export", outputs / "a", tmp_path / "x.tiff2")


def test_report_as_file_and_as_folder_hold_every_picture(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "report", outputs / "a", tmp_path / "r.html", "--only", "seed=1")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("data:image/webp") == 12 and page.count("data:image/png") == 4
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    run(capsys, "report", outputs / "a", tmp_path / "folder", "--folder")
    scripts = sorted((tmp_path / "folder" / "cell").iterdir())
    assert len(scripts) == 8
    assert all(script.read_text().count("data:image/webp") == 3 for script in scripts)


def test_replay_tells_the_sweep_in_order(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "replay", outputs / "a", "--terminal").splitlines()
    assert lines[0] == "a: 8 cells" and lines[-1] == "finished after 1.5 s"
    assert lines[1] == "cell 0  step 1/3  sigma 2.000"
    told = [
        json.loads(line) for line in run(capsys, "replay", outputs / "a", "--json").splitlines()
    ]
    assert [one["kind"] for one in told[:6]] == [
        "SweepStarted", "CellStarted", "Frame", "Frame", "Frame", "CellFinished",
    ]  # fmt: skip
    assert told[5]["timings"]["denoise_s"] == 0.03


def test_an_archive_is_a_picture_in_a_notebook(outputs: Path) -> None:
    data = Archive(outputs / "a")._repr_png_()
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        assert len(places(np.asarray(image.convert("RGB")), picture(PLAN.cells[3], 3))) == 1
