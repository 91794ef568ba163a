"""A sweep from inside a program: sdviz.run_sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

import sdviz
from sdviz.errors import ConfigError, SdvizError


def test_a_program_sweeps_as_the_command_does(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts = ["a castle, 'sunset'", '["a", "b"]']
    common = {"model": str(tiny_model), "outputs": str(tmp_path / "out"), "steps": 1}
    with sdviz.run_sweep("visdom=off", prompt=prompts, cfg=[1, 7.5], **common) as archive:
        assert archive.axes == {"prompt": prompts, "cfg": [1.0, 7.5]}
        assert archive.status == "finished" and archive.image(3).size == (64, 64)
    one = sdviz.run_sweep("visdom=off", prompt=prompts[1], cfg="1-7.5 [2]", **common)
    assert [cell.recipe["prompt"] for cell in one.cells] == [prompts[1]] * 2
    assert {cell.source for cell in one.cells} == {archive.path.name}, "nothing is computed twice"
    pairs = sdviz.run_sweep(
        "visdom=off", cfg=[1, 7.5], seed=[1, 2], zip=[["cfg", "seed"]], prompt=prompts[0], **common
    )
    assert [(cell.recipe["cfg"], cell.recipe["seed"]) for cell in pairs.cells] == [(1, 1), (7.5, 2)]
    one.close()
    pairs.close()


def test_what_is_wrong_is_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cgf: unknown key; did you mean cfg"):
        sdviz.run_sweep(cgf=7, outputs=str(tmp_path))
    with pytest.raises(SdvizError, match="`much` is not a number"):
        sdviz.run_sweep("visdom=off", cfg=[7, "much"], outputs=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
