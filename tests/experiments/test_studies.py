"""Every study runs on the miniature; every preset is the experiment that it stands for."""

from __future__ import annotations

import importlib
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdviz.plan.config import conf_dir
from sdviz.request.compose import prepare

PRESETS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
PYRAMID = (
    "an ultra detailed beautiful painting landscape ancient, pyramid, egyptian gods, sun, "
    "centered, intricate, by conrad roset, greg rutkowski and makoto shinkai, "
    "trending on artstation, Realistic, Cinematic"
)

# Study -> what makes it short, and the figures that it promises.
STUDIES = {
    "astronaut": (["steps=2", "samples=1"], ["astronaut"]),
    "caption-loop": (["steps=2", "rounds=2"], ["caption-loop"]),
    "cfg": (["steps=2"], ["cfg", "burning"]),
    "checkpoint": (["steps=2"], ["checkpoint"]),
    "footballer": (["steps=4"], ["footballer", "only-house"]),
    "kolors-lora": (["steps=2", "train=1"], ["lora"]),
    "negative": (["steps=2"], ["negative"]),
    "restyle": (["steps=4", "samples=1"], ["start", "restyle"]),
    "sampler": (["steps=3", "reference=4"], ["strips", "settling", "nearest"]),
    "seed": (["steps=2"], ["seeds"]),
    "steps": (["steps=2,3,4"], ["steps", "converging"]),
    "story": (["steps=2"], ["story"]),
    "variation": (["steps=4"], ["variation_seed", "seed_resize", "hires_fix", "tiling"]),
}


def run_study(name: str, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    study = importlib.import_module(f"experiments.{name}.run")
    monkeypatch.setattr(sys, "argv", ["run.py", *overrides])
    study.main()


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_and_keeps_its_figures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, figures = STUDIES[name]
    run_study(name, monkeypatch, *short, f"outputs={tmp_path}", "visdom.enabled=false")
    for figure in figures:
        (path,) = tmp_path.glob(f"*/figures/{figure}.png")
        assert np.asarray(Image.open(path).convert("L")).std() > 5, "an empty figure"


def test_every_preset_has_its_study_and_its_test() -> None:
    assert set(PRESETS) == set(STUDIES)
    for name in PRESETS:
        assert (conf_dir().parent / "experiments" / name / "README.md").is_file()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_sweep_of_the_miniature(name: str, tmp_path: Path) -> None:
    request = prepare([f"experiment={name}", f"outputs={tmp_path}", "visdom.enabled=false"])
    assert request.config.name.startswith(name)
    assert {cell.recipe.model for cell in request.plan.cells} == {"miniature"}


@pytest.mark.parametrize("name", ["cfg", "sampler", "steps", "seed", "variation"])
def test_a_real_model_gets_the_real_prompt(name: str, tmp_path: Path, tiny_model: Path) -> None:
    quiet = [f"outputs={tmp_path}", "visdom.enabled=false"]
    request = prepare([f"experiment={name}", f"model={tiny_model}", *quiet])
    assert {cell.recipe.prompt for cell in request.plan.cells} == {PYRAMID}


def test_what_is_typed_wins_over_the_counterpart(tmp_path: Path) -> None:
    quiet = [f"outputs={tmp_path}", "visdom.enabled=false"]
    request = prepare(["experiment=cfg", "prompt=a blue tent", "cfg=3", *quiet])
    (cell,) = request.plan.cells
    assert (cell.recipe.prompt, cell.recipe.cfg) == ("a blue tent", 3)


def test_the_seeds_of_the_astronaut_are_two_rounds_of_three(tmp_path: Path) -> None:
    request = prepare(["experiment=astronaut", f"outputs={tmp_path}", "visdom.enabled=false"])
    assert sorted({cell.recipe.seed for cell in request.plan.cells}) == [42, 43, 44, 45, 46, 47]


def test_hello_shows_pictures_on_the_port_that_it_was_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json
    from urllib.request import Request, urlopen

    from sdviz.web.client.launch import stop

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        run_study("visdom-hello", monkeypatch, f"visdom.port={port}")
        assert f":{port}/env/visdom-hello" in capsys.readouterr().out
        ask = Request(
            f"http://127.0.0.1:{port}/win_data",
            json.dumps({"eid": "visdom-hello", "win": "one"}).encode(),
            {"Content-Type": "application/json"},
        )
        answer = json.loads(urlopen(ask, timeout=10).read())
        window = json.loads(answer) if isinstance(answer, str) else answer  # Visdom 0.3, 0.2
        assert window["content"]["src"].startswith("data:image/")
    finally:
        stop(port)
