"""The archive as a product: find, compare, export, report, import, merge, replay, rm, gc."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.archive.__main__ import main
from sdviz.archive.distance import largest_difference, rms, ssim
from sdviz.archive.importing import recipe_from_png
from sdviz.archive.reader import Archive
from sdviz.archive.verify import verify
from sdviz.archive.writer import ArchiveWriter
from sdviz.errors import ArchiveError
from tests.archive.sweeps import cell_events, make_plan, picture, write
from tests.archive.test_grid import places

AXES = {"cfg": [7.0, 15.0], "sampler": ["Euler a", "Heun"], "seed": [1, 2]}
PLAN = make_plan(AXES, width=32, height=32)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    write(folder, "a", PLAN)
    write(folder, "b", make_plan({**AXES, "cfg": [3.0]}, width=32, height=32, prompt="a tower"))
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    assert main([str(argument) for argument in arguments]) == status
    told = capsys.readouterr()
    return told.err if status else told.out


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
        expected[cell.index] = rms(picture(cell, 3), picture(other, 3))
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
    assert rms(np.zeros_like(a), np.full_like(a, 255)) == 1.0
    assert ssim(a, a) == pytest.approx(1.0)
    noise = chance.integers(0, 256, a.shape, dtype=np.uint8)
    assert abs(ssim(a, noise)) < 0.2 < ssim(a, b)
    tiny, other = a[:8, :8], b[:8, :8]
    assert ssim(tiny, tiny) == 1.0 and np.isnan(ssim(tiny, other)), "smaller than the window"


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


def webui_png(path: Path, text: str) -> Path:
    info = PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def test_import_from_every_program(outputs: Path, tmp_path: Path) -> None:
    archive = Archive(outputs / "a")
    ours = recipe_from_png(archive.image_path(6))
    assert ours == {
        "model": "miniature", "prompt": "a red pyramid", "cfg": 15.0, "sampler": "Heun",
        "steps": 3, "seed": 1, "width": 32, "height": 32,
    }  # fmt: skip
    old = webui_png(
        tmp_path / "old.png",
        "a castle, (stone:1.2)\nby a lake\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M"
        " Karras, CFG scale: 7.5, Seed: 965400086, Size: 512x768, Model hash: 45dee52b,"
        ' Model: "v1:5"',
    )
    assert recipe_from_png(old) == {
        "prompt": "a castle, (stone:1.2)\nby a lake", "negative": "blurry", "steps": 20,
        "sampler": "DPM++ 2M Karras", "cfg": 7.5, "seed": 965400086, "width": 512, "height": 768,
        "model": "v1:5",
    }  # fmt: skip
    new = webui_png(
        tmp_path / "new.png",
        "x\nSteps: 8, Sampler: DPM++ 2M, Schedule type: SGM Uniform, CFG scale: 3, Seed: 5,"
        " Size: 64x64, Denoising strength: 0.6, Clip skip: 2, Hires upscale: 2, Version: v1.10.1",
    )
    told = recipe_from_png(new)
    assert (told["sampler"], told["clip_skip"]) == ("DPM++ 2M SGM Uniform", 2)
    assert (told["hires_scale"], told["hires_strength"]) == (2.0, 0.6)
    fooocus = {
        "prompt": "short", "full_prompt": ["cinematic still short", "emotional"],
        "negative_prompt": "", "full_negative_prompt": ["anime"], "steps": 30,
        "guidance_scale": 4, "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras", "seed": "123", "base_model": "juggernautXL.safetensors",
    }  # fmt: skip
    assert recipe_from_png(webui_png(tmp_path / "f.png", json.dumps(fooocus))) == {
        "prompt": "cinematic still short\nemotional", "negative": "anime", "steps": 30, "cfg": 4.0,
        "width": 1152, "height": 896, "sampler": "DPM++ 2M SDE Karras", "seed": 123,
        "model": "juggernautXL",
    }  # fmt: skip


def test_a_webui_picture_tells_its_lora_and_vae(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = webui_png(
        tmp_path / "l.png",
        "a castle <lora:add_detail:0.8>, by a lake <lora:ink:1:0.5>\n"
        "Steps: 8, Sampler: Heun, Seed: 5,"
        ' VAE hash: c6a580b13a, VAE: ft-mse.pt, Lora hashes: "add_detail: 7c6bad76eb54, ink: 01ab",'
        ' TI hashes: "EasyNegative: c74b4e810b03, bad_hands: aa7651be"',
    )
    told = recipe_from_png(picture)
    assert (told["prompt"], told["vae"]) == ("a castle, by a lake", "ft-mse.pt")
    assert (told["lora"], told["lora_scale"]) == ("add_detail", 0.8)
    assert "ink" in caplog.text, "what is left out is said"
    assert "embedding=<folder> EasyNegative, bad_hands is read" in caplog.text


def test_import_refuses_what_has_no_recipe(tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    (tmp_path / "text.png").write_text("no picture")
    damaged = webui_png(tmp_path / "d.png", "{not json")
    for path in (plain, tmp_path / "text.png", damaged, tmp_path / "none.png"):
        with pytest.raises(ArchiveError, match=path.name):
            recipe_from_png(path)


def test_what_import_prints_is_the_sweep(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "import", Archive(outputs / "a").image_path(0))
    assert text.startswith("python -m sdviz.sweep") and "'prompt=a red pyramid'" in text


def test_merge_two_archives(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "merge", tmp_path / "all", outputs / "a", outputs / "b")
    assert "12 cells" in text and "8 cells reused from a" in text
    archive = Archive(tmp_path / "all")
    assert archive.axes["cfg"] == [3.0, 7.0, 15.0]
    assert set(archive.axes) == {"prompt", "cfg", "sampler", "seed"}
    assert archive.counts() == {"done": 12}
    assert list(verify(tmp_path / "all")) == []
    for cell in archive.cells:
        assert archive.steps(cell.i) == [1, 2, 3]
    assert "already" in run(capsys, "merge", tmp_path / "all", outputs / "a", status=1)


def test_archives_of_different_models_do_not_merge(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "other", make_plan(AXES, identity="cd" * 32))
    text = run(capsys, "merge", tmp_path / "all", outputs / "a", tmp_path / "other", status=1)
    assert "model=miniature is another model" in text
    assert not (tmp_path / "all").exists()


def test_rm_deletes_what_is_ours_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "a", PLAN)
    write(tmp_path, "b", PLAN)
    (tmp_path / "b" / "images" / "notes.txt").write_text("mine")
    assert "--yes" in run(capsys, "rm", tmp_path / "a", status=1)
    run(capsys, "rm", tmp_path / "a", tmp_path / "b", "--yes")
    assert not (tmp_path / "a").exists()
    left = [file.name for file in (tmp_path / "b").rglob("*") if file.is_file()]
    assert left == ["notes.txt"]
    (tmp_path / "c").mkdir()
    assert "not an archive" in run(capsys, "rm", tmp_path / "c", "--yes", status=1)


def test_a_studys_figures_are_shared_and_outlive_their_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "a", PLAN, reuse=False)
    figure = tmp_path / "a" / "figures" / "cfg.png"
    figure.parent.mkdir()
    Image.new("RGB", (30, 20)).save(figure)
    run(capsys, "export", tmp_path / "a", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.read("a/figures/cfg.png") == figure.read_bytes()
    run(capsys, "report", tmp_path / "a", "--folder")
    assert (tmp_path / "a/report/figure/cfg.png").read_bytes() == figure.read_bytes()
    assert "but for 1 file of others" in run(capsys, "rm", tmp_path / "a", "--yes")
    assert [file for file in (tmp_path / "a").rglob("*") if file.is_file()] == [figure]


def test_a_live_archive_is_not_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    try:
        assert "being written" in run(capsys, "rm", tmp_path / "a", "--yes", status=1)
    finally:
        writer.close()
    assert (tmp_path / "a" / "sweep.db").exists()


def test_gc_clears_what_a_killed_sweep_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = ArchiveWriter.open(tmp_path, "a", PLAN, {}, reuse=True)
    done, dead = list(cell_events(PLAN.cells[0])), list(cell_events(PLAN.cells[1]))
    for event in [*done, *dead[:3]]:
        writer.handle(event)
    writer.close()
    stray = tmp_path / "a" / "images" / "0009-cfg=7.png"
    stray.write_bytes(b"x")
    (tmp_path / "a" / "images" / ".writing-abc").write_bytes(b"half")
    text = run(capsys, "gc", tmp_path)
    assert "2 frames of unfinished cells" in text and stray.exists()
    told = json.loads(run(capsys, "gc", tmp_path, "--json"))
    assert {"path": str(stray), "what": "picture of no cell", "bytes": 1} in told
    run(capsys, "gc", tmp_path, "--yes")
    assert not stray.exists()
    assert list(verify(tmp_path / "a")) == []
    assert Archive(tmp_path / "a").steps(0) == [1, 2, 3]
    assert "nothing" in run(capsys, "gc", tmp_path)


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


def test_every_sql_is_read_only_for_a_reader(outputs: Path) -> None:
    with pytest.raises(ArchiveError, match=r"readonly|read"):
        Archive(outputs / "a").query("DELETE FROM cell")


_TWIN = """
import sys
from pathlib import Path
from sdviz.errors import SdvizError
from tests.archive.sweeps import make_plan, write
plan = make_plan({"cfg": [float(n) for n in range(12)]})
try:
    writer = write(Path(sys.argv[1]), sys.argv[2], plan)
except SdvizError as error:
    print(error)
    sys.exit(error.exit_status)
print("computed", len(writer.todo))
"""


def test_processes_on_the_same_outputs_lose_nothing(tmp_path: Path) -> None:
    names = ["same", "same", "same", "other"]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _TWIN, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in names
    ]
    answers = [child.communicate(timeout=120)[0] for child in children]
    for child, answer in zip(children, answers, strict=True):
        refused = "is being written by process" in answer and child.returncode == 1
        assert refused or (answer.startswith("computed") and child.returncode == 0), answer
    assert children[3].returncode == 0
    assert any(child.returncode == 0 for child in children[:3])
    for name in ("same", "other"):
        assert list(verify(tmp_path / name)) == []
        assert Archive(tmp_path / name).counts() == {"done": 12}
        with sqlite3.connect(tmp_path / name / "sweep.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
