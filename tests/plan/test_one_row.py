"""A setting has one home: a copy of sdviz with one more row in its table has that setting in every
place where settings are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
ROW = """
    nudge: float = row(
        0.0, "how far the picture is nudged", least=-10, most=10, elsewhere=("push",)
    )
"""
USE = """
import json, sys
from dataclasses import asdict
from pathlib import Path

import sdviz
from sdviz.commands.live import form
from sdviz.errors import SdvizError
from sdviz.pictures.texts import read_texts
from sdviz.plan.labels import axis_labels
from sdviz.plan.settings import SETTINGS
from sdviz.request.compose import compose, prepare
from sdviz.web.describe import description

def refused(*words):
    try:
        prepare(words)
    except SdvizError as error:
        return str(error)

model, = sys.argv[1:]
plain, = prepare([f"model={model}", "steps=1"]).plan.cells
words = ["nudge=0,2.5", "steps=1", "width=32", "height=32", f"model={model}", "visdom=off"]
asked = prepare(words)
with sdviz.run_sweep(*words) as archive:
    pictures = [archive.image_path(cell.i) for cell in archive.cells]
    shown = description(archive)
(zero, more) = asked.plan.cells
given, _ = compose([f"model={model}"])
filled = form.prepare(given, {"further": "nudge=3,4"})
print(json.dumps({
    "axes": [axis.name for axis in asked.plan.axes],
    "values": [cell.recipe.nudge for cell in asked.plan.cells],
    "keys": [plain.key, prepare([f"model={model}", "steps=1", "nudge=0"]).plan.cells[0].key,
             zero.key, more.key],
    "labels": axis_labels(asked.plan.axes, more.recipe),
    "texts": [read_texts(picture)["parameters"] for picture in pictures],
    "again": prepare([f"from={pictures[1]}", f"model={model}"]).plan.cells[0].recipe.nudge,
    "form": [cell.recipe.nudge for cell in filled.plan.cells],
    "prefilled": form.as_form(asdict(more.recipe))["further"],
    "described": shown,
    "refused": [refused("nudge=11"), refused("push=1"), refused("nudg=1")],
}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the row; the weights and the configuration are linked."""
    root = tmp_path_factory.mktemp("one-row")
    linked = shutil.ignore_patterns("__pycache__", "miniature*", "static")
    shutil.copytree(TOP / "sdviz", root / "sdviz", ignore=linked)
    for name in ("miniature", "miniature_flow"):
        if (TOP / "sdviz" / name).is_dir():
            (root / "sdviz" / name).symlink_to(TOP / "sdviz" / name)
    (root / "conf").symlink_to(TOP / "conf")
    table = root / "sdviz" / "plan" / "settings.py"
    text = table.read_text(encoding="utf-8")
    before, end, after = text.partition("\n\nSETTINGS: ")
    table.write_text(before.rstrip() + ROW + "\n" + end + after, encoding="utf-8")
    return root


def run(home: Path, *words: str) -> str:
    variables = {**os.environ, "PYTHONPATH": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=home, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def seen(home: Path, tiny_model: Path) -> dict[str, Any]:
    """What the places say that have settings."""
    told: dict[str, Any] = json.loads(run(home, "-c", USE, str(tiny_model)).splitlines()[-1])
    return told


def test_the_command_line_takes_it_as_an_axis(seen: dict[str, Any]) -> None:
    assert (seen["axes"], seen["values"]) == (["nudge"], [0.0, 2.5])
    assert seen["labels"] == {"nudge": "2.5"}
    beyond, elsewhere, slip = seen["refused"]
    assert beyond == "nudge=11: must be a number from -10 to 10"
    assert "it is nudge" in elsewhere and "did you mean nudge" in slip


def test_its_help_and_its_completion_name_it(home: Path) -> None:
    assert "nudge               how far the picture is nudged" in run(
        home, "-m", "sdviz.sweep", "--help"
    )
    variables = {**os.environ, "PYTHONPATH": str(home), "COMP_LINE": "sweep.py nud"}
    words = [sys.executable, "-m", "sdviz.sweep", "-sc", "query=bash"]
    done = subprocess.run(words, cwd=home, env=variables, capture_output=True, text=True)
    assert done.stdout.split() == ["nudge="]


def test_it_counts_for_the_key_where_it_is_not_at_its_default(seen: dict[str, Any]) -> None:
    plain, at_default, _, _ = seen["keys"]
    assert plain == at_default
    assert len(set(seen["keys"])) == 3  # a size was given for the last two


def test_a_picture_says_it_and_gives_it_back(seen: dict[str, Any]) -> None:
    zero, more = seen["texts"]
    assert "nudge" not in zero and "sdviz nudge: 2.5" in more
    assert seen["again"] == 2.5


def test_the_live_form_takes_it_among_its_further_settings(seen: dict[str, Any]) -> None:
    assert seen["form"] == [3.0, 4.0]
    assert "nudge=2.5" in seen["prefilled"].split()


def test_the_page_gets_its_row_and_its_values(seen: dict[str, Any]) -> None:
    described = seen["described"]
    row = {"name": "nudge", "kind": "float", "default": 0.0}
    assert row | {"help": "how far the picture is nudged"} in described["settings"]
    assert described["dims"] == [{"keys": ["nudge"], "labels": ["0", "2.5"]}]
    assert [cell["r"]["nudge"] for cell in described["cells"]] == [0.0, 2.5]
