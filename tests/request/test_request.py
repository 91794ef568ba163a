"""From configuration values to a plan: what is understood, what is refused, what is remembered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sdviz.commands.sweep.dry_run import describe
from sdviz.errors import ConfigErrors
from sdviz.plan.labels import duration
from sdviz.plan.passes import evaluations
from sdviz.request.request import read_request
from tests.reading import Reading, refused


def test_axes_stand_in_the_order_in_which_they_were_typed(reading: Reading) -> None:
    request = reading(cfg="7,15", sampler="euler_a,heun", order=["sampler", "cfg"])
    assert [axis.name for axis in request.plan.axes] == ["sampler", "cfg"]
    assert [axis.name for axis in reading(cfg="7,15", seed="1,2").plan.axes] == ["cfg", "seed"]


def test_names_are_spelled_in_one_way_and_sizes_filled_in(reading: Reading) -> None:
    (cell,) = reading(sampler="k_euler_a", cfg=7).plan.cells
    assert cell.recipe.sampler == "Euler a"
    assert cell.recipe.cfg == 7.0 and type(cell.recipe.cfg) is float
    assert (cell.recipe.width, cell.recipe.height, cell.recipe.seed) == (64, 64, 42)


def test_a_schedule_stands_in_the_place_of_the_samplers_own(reading: Reading) -> None:
    plan = reading(sampler="euler,dpmpp_2m_karras", schedule="beta,sgm_uniform,uniform").plan
    names = ["Euler Beta", "Euler SGM Uniform", "Euler", "DPM++ 2M Beta", "DPM++ 2M SGM Uniform",
             "DPM++ 2M"]  # fmt: skip
    assert [cell.recipe.sampler for cell in plan.cells] == names
    assert [axis.values for axis in plan.axes][1] == (("Beta",), ("SGM Uniform",), ("Uniform",))
    # The same pictures have the same keys, however they are asked for.
    named = reading(sampler=",".join(names)).plan
    assert [cell.key for cell in plan.cells] == [cell.key for cell in named.cells]
    (warning,) = reading(schedule="karras,automatic,beta").warnings
    assert "Karras and Automatic are the same for DPM++ 2M" in warning
    (plain,) = reading(schedule="automatic").plan.cells
    assert plain.recipe.sampler == "DPM++ 2M Karras"


def test_schedules_that_a_sampler_has_not_are_refused_together(reading: Reading) -> None:
    errors = refused(reading, sampler="euler,ddim,plms", schedule="karras,sgm_uniform", steps=0)
    assert len(errors) == 3 and any("steps=0" in error for error in errors)
    for name in ("DDIM", "PLMS"):
        assert sum(f"no Karras schedule for {name}" in error for error in errors) == 1
    (error,) = refused(reading, sampler="euler,ddim", schedule="karras,sgm_uniform")
    rule = re.search("exclude='(.*)' leaves", error)
    assert rule is not None
    plan = reading(sampler="euler,ddim", schedule="karras,sgm_uniform", exclude=rule[1]).plan
    assert [cell.recipe.sampler for cell in plan.cells] == [
        "Euler Karras", "Euler SGM Uniform", "DDIM SGM Uniform"
    ]  # fmt: skip
    (error,) = refused(reading, schedule="simple")
    assert "schedule=simple" in error and "Karras, Exponential" in error


def test_the_same_command_has_the_same_name_and_keys(reading: Reading) -> None:
    first, again = reading(cfg="7,15"), reading(cfg=[7, 15.0])
    assert first.config.name == again.config.name and first.config.name.startswith("cfg-")
    assert [c.key for c in first.plan.cells] == [c.key for c in again.plan.cells]
    others = [
        reading(cfg="7,16"), reading(cfg="7,15", prompt="b"), reading(cfg="7,15", dtype="bfloat16"),
        reading(cfg="7,15", exclude="cfg=7"), reading(cfg="7,15", preview={"every": 2}),
    ]  # fmt: skip
    assert len({first.config.name, *(other.config.name for other in others)}) == 6
    assert reading(cfg="7,15", visdom={"port": 7000}).config.name == first.config.name
    assert reading(preset="cfg_scale").config.name.startswith("cfg_scale-")


def test_words_of_a_record_are_the_words_again(reading: Reading) -> None:
    for prompt, words in (
        ("a red cat", "red,\"a blue, big\",''"),
        ("a null cat", '"null",\'[a]\',"b\'s"'),
        ('say "a"', """'"a"',a\\b"""),
    ):
        first = reading(prompt=prompt, sr=words, seed_resize="none,32x32", sampler="heun,ddim")
        again = reading(**first.record)
        assert again.plan.cells == first.plan.cells and again.config.name == first.config.name
    assert len(reading(seed_resize=["", "32x32"]).plan.cells) == 2, "as older archives have it"
    one = reading(prompt="a, b", sr='"a, b"', seed_resize="none")
    assert reading(**one.record).plan.cells == one.plan.cells


def test_the_record_reads_back_as_the_same_request(reading: Reading) -> None:
    prompts = ["a ${b}, c", '["x", "y"]', "1-3"]
    first = reading(
        cfg="7,15", steps="5,6", seed="-1,3", zip=[["cfg", "steps"]], exclude="cfg=7 seed=3",
        prompts=prompts, prompt=None, order=["seed", "cfg"], visdom={"password": "secret"},
    )  # fmt: skip
    assert "secret" not in str(first.record)
    record = {**first.record, "prompt": [*prompts], "prompts": None}  # as Hydra resolves `\\${`
    assert first.record["prompt"][0] == "a \\${b}, c"
    again = reading(**record)
    assert [c.key for c in again.plan.cells] == [c.key for c in first.plan.cells]
    assert again.plan.axes == first.plan.axes and again.plan.excluded == 3
    assert again.record == first.record


def test_prompts_come_from_a_file_line_by_line(reading: Reading, tmp_path: Path) -> None:
    file = tmp_path / "my prompts.txt"
    file.write_bytes("\ufeffa castle, sunset\r\n\r\n  # kept, 一座城堡  \n".encode())
    request = reading(prompts=str(file), prompt=None)
    assert [c.recipe.prompt for c in request.plan.cells] == ["a castle, sunset", "# kept, 一座城堡"]
    file.write_bytes(b"caf\xe9")
    assert "not UTF-8" in refused(reading, prompts=str(file), prompt=None)[0]
    file.write_bytes(b"\n\n")
    assert "has no prompts" in refused(reading, prompts=str(file), prompt=None)[0]


def test_none_is_no_image_and_no_size(reading: Reading) -> None:
    """For an axis that has a plain cell beside the others; '' is taken off by the shell."""
    cells = reading(seed_resize="none,64x64").plan.cells
    assert [cell.recipe.seed_resize for cell in cells] == ["", "64x64"]
    assert reading(init="none").plan.cells[0].recipe.init == ""


def test_models_have_defaults_of_their_own(
    reading: Reading, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        f"id: {tiny_model}\ndefaults: {{prompt: 'a, b', cfg: 3, sampler: ddim, width: 128}}\n"
    )
    options: dict[str, Any] = {
        "recorded": lambda outputs, name: ("", []), "draw": lambda: 1, "model_folders": [folder],
    }  # fmt: skip
    given = {"models": "mine", "outputs": str(tmp_path), "device": "cpu"}
    recipe = read_request(given, **options).plan.cells[0].recipe
    assert (recipe.prompt, recipe.cfg, recipe.sampler) == ("a, b", 3.0, "DDIM")
    assert (recipe.width, recipe.height) == (128, 64)
    assert read_request({**given, "cfg": 9}, **options).plan.cells[0].recipe.cfg == 9
    (folder / "mine.yaml").write_text("defaults: {nonsense: 1, cfg: 1-3}\n")
    with pytest.raises(ConfigErrors, match=r"defaults\.nonsense(.|\n)*must be one value"):
        read_request(given, **options)


def test_a_dry_run_counts_cells_and_evaluations(reading: Reading) -> None:
    request = reading(cfg="1,7", sampler="euler,heun", steps=10, exclude="cfg=7 sampler=euler")
    assert evaluations(request.plan.cells) == 10 + 19 + 2 * 19
    text = describe(request)
    assert "axis cfg: 1, 7" in text and "axis sampler: Euler, Heun" in text
    assert "cells: 3, 1 excluded" in text and "denoiser evaluations: 67" in text
    assert "estimated time: unknown" in text and "nothing was computed" in text
    assert "... (40 in all)" in describe(reading(seed="1-40"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0.2 s"),
        (9.97, "10 s"),
        (12.4, "12 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (59.7, "1 min 0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_models_with_a_distilled_cfg_scale_are_known(tmp_path: Path, tiny_model: Path) -> None:
    """Their pictures say so as Forge's do."""
    from tests.families import flux
    from tests.reading import reader

    distilled = reader(flux(tmp_path / "flux"), tmp_path)().plan
    assert distilled.distilled == {str(tmp_path / "flux")}
    assert reader(tiny_model, tmp_path)().plan.distilled == frozenset()
