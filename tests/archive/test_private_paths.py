"""What is shared says nothing of its author's disk: pictures, sheets, reports, tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import sdviz
from sdviz.archive.export.compare import Side, align, worst_sheet
from sdviz.archive.export.grid import grid_sheet
from sdviz.archive.reader import Archive
from sdviz.commands.archive.command import main
from sdviz.pictures import infotext
from sdviz.pictures.texts import read_texts
from sdviz.plan.labels import place_name, without_folders
from sdviz.plan.settings import Recipe
from sdviz.request.compose import prepare

SECRET = "home of nobody"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real sweep of a model and an image in a folder that nobody else need know of."""
    root = tmp_path_factory.mktemp("private")
    secret = root / SECRET
    shutil.copytree(Path(sdviz.__file__).parent / "miniature", secret / "my model")
    Image.new("RGB", (64, 64), "red").save(secret / "photo.png")
    settings = [
        f"model={secret / 'my model'}", f"init={secret / 'photo.png'}", "steps=5", "width=64",
        "height=64", "cfg=1,3", f"outputs={root / 'outputs'}", "name=a", "visdom.enabled=false",
    ]  # fmt: skip
    sdviz.run_sweep(*settings)
    yield root / "outputs" / "a"


def leaks(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else [folder]
    return [path.name for path in files if SECRET.encode() in path.read_bytes()]


def test_no_picture_tells_a_folder(archive: Path) -> None:
    assert leaks(archive / "images") == [] and leaks(archive / "grid.png") == []
    with Archive(archive) as opened:
        texts = read_texts(opened.image_path(0))
        assert infotext.read(texts["parameters"]).pairs["Model"] == "my model"
        assert json.loads(texts["sdviz"])["recipe"]["init"] == "photo.png"
        assert opened.cells[0].recipe["init"].endswith(f"{SECRET}/photo.png"), "to go on with"
        assert any(SECRET in model for model in opened.comparable), "told by model"
        assert SECRET not in grid_sheet(opened, opened.cells).title


@pytest.mark.parametrize(
    "command",
    [
        ("report", "out.html"), ("report", "out", "--folder"), ("export", "out.png"),
        ("export", "out.csv"), ("export", "out.jsonl"), ("export", "out", "--dataset"),
        ("export", "out.webp", "--film"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_export_tells_a_folder(archive: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    name, out, *flags = command
    assert main([name, str(archive), str(tmp_path / out), *flags]) == 0
    assert leaks(tmp_path) == []


def test_a_comparison_tells_no_folder(archive: Path) -> None:
    with Archive(archive) as opened:
        path = str(archive)
        sides = [
            Side(opened, [cell], f"{path} model={archive.parent}/m.ckpt") for cell in opened.cells
        ]
        pairs = align(*sides)
        sheet = worst_sheet(*sides, pairs)
    assert sheet.columns == ["a model=m.ckpt", "a model=m.ckpt", "difference x4"]


def test_a_picture_in_its_archive_is_still_made_again(archive: Path, tmp_path: Path) -> None:
    with Archive(archive) as opened:
        picture, cell = opened.image_path(0), opened.cells[0]
    asked = [f"outputs={tmp_path}", "visdom.enabled=false"]
    (again,) = prepare([f"from={picture}", *asked]).plan.cells
    assert again.key == cell.key
    shutil.copy(picture, tmp_path / "moved.png")
    shutil.copy(cell.recipe["init"], tmp_path / "photo.png")
    request = prepare([f"from={tmp_path / 'moved.png'}", *asked])
    assert request.plan.cells[0].recipe.init == str(tmp_path / "photo.png"), "found beside it"
    assert any("my model" in warning for warning in request.warnings)


def test_a_zip_says_that_it_is_the_archive_itself(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(archive), str(tmp_path / "a.zip")]) == 0
    assert "the paths of your files" in capsys.readouterr().err


def test_messages_lose_their_folders() -> None:
    known = {"/home/a b/m.ckpt": "m.ckpt"}
    text = "ValueError: /home/a b/m.ckpt is no model (~/x/y.st, C:\\\\m\\\\z); 1/255, w/o, see http://a/b/c"
    assert without_folders(text, known) == (
        "ValueError: m.ckpt is no model (y.st, z); 1/255, w/o, see http://a/b/c"
    )


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/data/x.safetensors", "x.safetensors"), ("models/x.ckpt", "x.ckpt"), ("~/m/", "m"),
        ("C:\\models\\x.safetensors", "x.safetensors"), ("outputs/a#3", "a#3"),
        ("owner/name", "owner/name"), ("miniature", "miniature"), ("../m/sd", "sd"), (None, None),
    ],
)  # fmt: skip
def test_the_name_of_a_place(place: str | None, name: str | None) -> None:
    assert place_name(place) == name


def test_a_distilled_scale_is_written_as_forge_does() -> None:
    recipe = vars(Recipe(model="/data/flux1-dev.safetensors", cfg=3.5))
    pairs = infotext.cell_pairs(recipe, {"Sampler": "Euler"}, identity="", extra={}, distilled=True)
    text = infotext.write("a", "", pairs)
    assert "CFG scale: 1, Distilled CFG Scale: 3.5," in text and "Model: flux1-dev," in text
