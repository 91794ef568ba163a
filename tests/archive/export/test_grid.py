"""grid.png: labels outside the pixels, in a font that has the glyphs; usable at any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdviz.archive.export.grid import grid_sheet
from sdviz.archive.export.pages import arrange
from sdviz.archive.reader import Archive
from sdviz.pictures import fonts
from sdviz.pictures.sheet import Sheet, draw, scale_of
from sdviz.plan.cells import Axis
from tests.archive.sweeps import make_plan, picture, write
from tests.request.webui import parse_generation_parameters


def places(sheet: np.ndarray, pixels: np.ndarray) -> list[tuple[int, int]]:
    """Where in a sheet a picture stands, pixel by pixel."""
    high, wide = pixels.shape[:2]
    found = []
    for y, x in zip(*np.nonzero((sheet == pixels[0, 0]).all(axis=2)), strict=True):
        part = sheet[y : y + high, x : x + wide]
        if part.shape == pixels.shape and np.array_equal(part, pixels):
            found.append((int(y), int(x)))
    return found


def test_every_picture_is_in_the_grid_untouched_and_in_its_place(tmp_path: Path) -> None:
    plan = make_plan(
        {"cfg": [7.0, 15.0, 20.0], "sampler": ["Euler a", "Heun"]}, width=40, height=32
    )
    write(tmp_path, "a", plan)
    with Image.open(tmp_path / "a" / "grid.png") as image:
        sheet = np.asarray(image)
    at = {cell.coords: places(sheet, picture(cell, 3)) for cell in plan.cells}
    assert all(len(found) == 1 for found in at.values())
    rows = [[at[(r, c)][0] for c in range(2)] for r in range(3)]
    assert all(row[0][0] == row[1][0] and row[0][1] < row[1][1] for row in rows)
    assert rows[0][0][0] < rows[1][0][0] < rows[2][0][0]
    left, top = rows[0][0][1], rows[0][0][0]
    assert (sheet[:, : left - 1] < 100).any() and (sheet[: top - 1] < 100).any(), "labels"


def test_the_grid_says_its_axes_in_webuis_words(tmp_path: Path) -> None:
    plan = make_plan({"seed": [1, 2], "cfg": [7.0, 15.0, 20.0], "sampler": ["Euler a", "Heun"]})
    write(tmp_path, "a", plan)
    with Image.open(tmp_path / "a" / "grid.png") as image:
        found = parse_generation_parameters(image.info["parameters"])
    assert (found["Script"], found["X Type"], found["Y Type"]) == (
        "X/Y/Z plot", "Sampler", "CFG Scale",
    )  # fmt: skip
    assert (found["X Values"], found["Y Values"]) == ("Euler a, Heun", "7, 15, 20")
    assert (found["Z Type"], found["Z Values"]) == ("Seed", "1, 2")


def test_every_axis_has_webuis_word_where_it_has_one(tmp_path: Path) -> None:
    axes = {"sr": ["pyramid", "a, b"], "clip_skip": [1, 2], "variation_seed": [3, 4]}
    write(tmp_path, "a", make_plan(axes, width=8, height=8, variation_strength=0.5))
    with Image.open(tmp_path / "a" / "grid.png") as image:
        found = parse_generation_parameters(image.info["parameters"])
    types = [found[f"{letter} Type"] for letter in "XYZ"]
    assert types == ["Var. seed", "Clip skip", "Prompt S/R"]
    assert found["Z Values"] == 'pyramid, "a, b"'
    sizes = make_plan({"seed": [1, 2]}, width=8, height=8)
    zipped = replace(sizes, axes=(Axis(("width", "height"), ((8, 8), (8, 16))),))
    write(tmp_path, "b", zipped)
    with Image.open(tmp_path / "b" / "grid.png") as image:
        found = parse_generation_parameters(image.info["parameters"])
    assert (found["X Type"], found["X Values"]) == ("Size", "8x8, 8x16")


def test_many_axes_are_spread_over_rows_and_columns(tmp_path: Path) -> None:
    """A sheet of 24 rows and 2 columns is a strip that nobody can look at."""
    axes = {"prompt": ["a", "b", "c"], "cfg": [3.0, 7.0], "sampler": ["Euler a", "Heun"]}
    plan = make_plan({**axes, "eta": [0.0, 1.0], "steps": [2, 3]}, width=40, height=32)
    archive = Archive(write(tmp_path, "a", plan).path)
    sheet = grid_sheet(archive, archive.cells)
    assert (len(sheet.rows), len(sheet.columns)) == (6, 8)
    assert sheet.rows[1] == "a\neta=1" and sheet.columns[2] == "cfg=3\nHeun\nsteps=2"
    with Image.open(tmp_path / "a" / "grid.png") as image:
        drawn = np.asarray(image)
    (_, left), (_, right) = (places(drawn, picture(plan.cells[i], 2))[0] for i in (0, 8))
    assert left < right
    assert arrange(archive.dims, rows=None, columns=None, pages=None).columns == (1, 2, 4)


def test_prompts_go_down_where_there_is_room_for_them(tmp_path: Path) -> None:
    prompts = ["a painting of two blue houses in the snow", "a pyramid"]
    plan = make_plan({"prompt": prompts, "cfg": [3.0, 7.0, 9.0], "seed": [1, 2, 3]})
    archive = Archive(write(tmp_path, "a", plan).path)
    sheet = grid_sheet(archive, archive.cells)
    assert (len(sheet.rows), len(sheet.columns)) == (2, 9)
    assert sheet.rows[1] == "a pyramid"


@pytest.mark.skipif(
    fonts.Typeface(14, "红色金字塔").missing != "", reason="no font with Chinese glyphs here"
)
def test_chinese_prompts_are_drawn_with_their_glyphs(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        make_plan({"prompt": ["红色的金字塔，日落", "蓝色的房子"]}, width=96, height=64),
    )
    archive = Archive(tmp_path / "a")
    with Image.open(tmp_path / "a" / "grid.png") as image:
        drawn = np.asarray(image.convert("L"))
    assert archive.query("SELECT count(*) FROM event WHERE kind='note'")[0][0] == 0
    face = fonts.Typeface(14, "红蓝")
    boxes = [bytes(face._font(char).getmask(char)) for char in "红蓝"]
    assert boxes[0] != boxes[1], "two characters, two glyphs"
    assert (drawn < 100).sum() > 200


def test_without_a_font_the_sweep_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "_candidates", lambda need: iter(()))
    write(tmp_path, "a", make_plan({"prompt": ["红色", "a house"]}))
    archive = Archive(tmp_path / "a")
    notes = [row["data"] for row in archive.query("SELECT data FROM event WHERE kind='note'")]
    assert len(notes) == 1 and "红" in notes[0] and "fonts-noto-cjk" in notes[0]
    assert (tmp_path / "a" / "grid.png").exists()


def test_a_long_axis_is_wrapped_and_a_huge_sheet_made_smaller(tmp_path: Path) -> None:
    write(tmp_path, "a", make_plan({"seed": list(range(40))}, steps=1))
    archive = Archive(tmp_path / "a")
    sheet = grid_sheet(archive, archive.cells)
    assert 4 < len(sheet.columns) < 20 and len(sheet.rows) * len(sheet.columns) >= 40
    blank = Image.new("RGB", (160, 160))
    huge = Sheet(rows=["r"] * 4, columns=["c"] * 300, picture=lambda r, c: blank, size=(160, 160))
    assert scale_of(huge) < 0.35
    image, _ = draw(huge)
    assert max(image.size) < 20_000


def test_a_long_prompt_is_wrapped_outside_the_pixels(tmp_path: Path) -> None:
    prompts = ["a very long prompt, " * 30, "x" * 700]
    plan = make_plan({"prompt": prompts, "cfg": [7.0, 9.0]}, width=64, height=64)
    write(tmp_path, "a", plan)
    with Image.open(tmp_path / "a" / "grid.png") as image:
        sheet = np.asarray(image)
    assert all(len(places(sheet, picture(cell, 3))) == 1 for cell in plan.cells)
