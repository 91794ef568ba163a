"""From configuration values to a plan: what is understood, what is refused, what is remembered."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdviz.errors import BoardError, ConfigError, ConfigErrors
from sdviz.estimate import describe, duration, evaluations
from sdviz.paths import conf_dir
from sdviz.request import Request, read_request

Reading = Callable[..., Request]


@pytest.fixture
def reading(tiny_model: Path, tmp_path: Path) -> Reading:
    """Reads a configuration over the tiny model; the seeds drawn are 1001, 1002 ..."""
    seeds = itertools.count(1001)

    def read(**given: Any) -> Request:
        options = {
            name: given.pop(name) for name in ("recorded", "also", "preset") if name in given
        }
        options.setdefault("recorded", lambda outputs, name: ("", []))
        values = {"models": [str(tiny_model)], "outputs": str(tmp_path / "outputs"), "prompt": "a"}
        values |= {"device": "cpu"}
        return read_request(
            values | given,
            draw=lambda: next(seeds),
            model_folders=[conf_dir() / "model"],
            **options,
        )

    return read


def refused(reading: Reading, **given: Any) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        reading(**given)
    return [str(error) for error in caught.value.errors]


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


@pytest.mark.parametrize(
    "name", ["<b>x</b>", "a\nb", "../up", ".hidden", "a/b", "x" * 101, "名字", "a b", "con:1"]
)
def test_a_name_that_a_folder_or_a_page_cannot_bear_is_refused(reading: Reading, name: str) -> None:
    (message,) = refused(reading, name=name)
    assert message.startswith("name=") and "would do" in message
    assert reading(name=message.rpartition("name=")[2].removesuffix(" would do")).config.name


def test_a_seed_is_drawn_once_for_the_whole_sweep(reading: Reading) -> None:
    request = reading(seed=-1, cfg="7,15")
    assert {cell.recipe.seed for cell in request.plan.cells} == {1001}
    assert request.record["seed"] == -1 and request.record["drawn_seeds"] == [1001]


def test_each_minus_one_of_a_list_is_a_draw(reading: Reading) -> None:
    request = reading(seed="-1,5,-1")
    assert [cell.recipe.seed for cell in request.plan.cells] == [1001, 5, 1002]


def test_samples_and_rounds_go_on_from_the_seed(reading: Reading) -> None:
    request = reading(seed=7, samples=3, rounds=2)
    assert [cell.recipe.seed for cell in request.plan.cells] == [7, 8, 9, 10, 11, 12]
    assert [cell.recipe.seed for cell in reading(samples=2).plan.cells] == [42, 43]
    again = reading(**request.record)
    assert again.plan.cells == request.plan.cells and again.config.name == request.config.name
    cells = reading(seed=7, samples=2, fixed_noise=True).plan.cells
    assert [(c.recipe.seed, c.recipe.noise_seed) for c in cells] == [(7, 7), (8, 7)]


def test_samples_take_along_what_is_zipped_with_their_seed(reading: Reading) -> None:
    request = reading(seed="1,11", cfg="3,7", zip=[["seed", "cfg"]], samples=2)
    found = [(cell.recipe.seed, cell.recipe.cfg) for cell in request.plan.cells]
    assert found == [(1, 3), (2, 3), (11, 7), (12, 7)]
    assert reading(**request.record).plan.cells == request.plan.cells


def test_samples_of_seeds_that_meet_are_told(reading: Reading) -> None:
    request = reading(seed="1,2", samples=3)
    assert [cell.recipe.seed for cell in request.plan.cells] == [1, 2, 3, 4]
    assert any("4 different seeds, not 6" in warning for warning in request.warnings)
    assert reading(seed="1,11", samples=3).warnings == []


def test_the_same_command_takes_its_recorded_seed_again(reading: Reading) -> None:
    first = reading(seed=-1)
    record = first.record["signature"], first.record["drawn_seeds"]
    again = reading(seed=-1, recorded=lambda outputs, name: record)
    assert again.plan.cells[0].key == first.plan.cells[0].key
    anew = reading(seed=-1, reuse=False, recorded=lambda outputs, name: record)
    assert anew.plan.cells[0].recipe.seed == 1002
    other = reading(seed=-1, prompt="b", recorded=lambda outputs, name: record)
    assert other.plan.cells[0].recipe.seed == 1003


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
    assert "has no lines" in refused(reading, prompts=str(file), prompt=None)[0]


def test_prompt_and_prompts_together_are_refused(reading: Reading) -> None:
    assert refused(reading, prompts=["a"], prompt="b") == ["prompts, prompt: give one of the two"]


def test_everything_that_is_wrong_is_reported_at_once(reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def no_port(config: object) -> None:
        raise BoardError("visdom.port=6006: held by something")

    messages = refused(
        reading,
        models=["/no/such/folder"], cfg="abc", sampler="eulr,heun,nonsense", steps=0, seed=2**64,
        prompts="/no/file.txt", prompt=None, outputs=str(tmp_path / "file" / "x"), name="<i>",
        visdom={"port": 99999}, dtype="int8", zip=[["cfg", "nothing"]], exclude="steps>>3",
        also=no_port,
    )  # fmt: skip
    for part in (
        "model=/no/such/folder", "cfg=abc", "'eulr'", "'nonsense'", "steps=0", "seed=184467",
        "prompts=/no/file.txt", "outputs=", "name='<i>'", "visdom.port=99999", "dtype='int8'",
        "zip: nothing is no setting", "exclude: `steps>>3`", "held by something",
    ):  # fmt: skip
        assert sum(part in message for message in messages) == 1, (part, messages)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cfg": "-1"}, "cfg=-1: must be a number from 0 to 1000"),
        ({"cfg": float("nan")}, "`nan` is not a number"),
        ({"cfg": True}, "cfg=True: must be a number"),
        ({"cfg": []}, "cfg=[]: give at least one value"),
        ({"steps": "1.5"}, "not a whole number"),
        ({"seed": -2}, "seed=-2: must be a whole number from -1 to 2**64 - 1"),
        ({"width": 65}, "needs a multiple of 8, such as 64 or 72"),
        ({"cfg": "1,2", "steps": "1,2,3", "zip": ["cfg", "steps"]}, "cfg has 2, steps has 3"),
        ({"steps": 1001}, "takes 1000 at most"),
        ({"models": "miniatur"}, "did you mean miniature?"),
        ({"models": "hub"}, "model=hub: say which"),
        ({"models": ["a/b", "c/d"], "model": {"id": "e/f"}}, "model.id: is for one model"),
        ({"model": {"kind": "sd9"}}, "model.kind='sd9': must be one of auto, sd1"),
        ({"order": ["cgf"]}, "order: cgf is no setting; did you mean cfg?"),
    ],
)
def test_bad_values_name_key_value_and_remedy(
    reading: Reading, given: dict[str, Any], says: str
) -> None:
    assert any(says in message for message in refused(reading, **given)), refused(reading, **given)


def test_a_sampler_is_given_no_more_steps_than_it_takes(reading: Reading) -> None:
    assert refused(reading, sampler="lcm,euler", steps="4,60") == ["steps=60: LCM takes 50 at most"]
    (message,) = refused(reading, sampler="lcm", hires_scale=2, hires_steps=51)
    assert message == "steps=51: LCM takes 50 at most"
    paired = {"sampler": "lcm,euler", "steps": "4,60", "zip": ["sampler", "steps"]}
    assert len(reading(**paired).plan.cells) == 2
    assert len(reading(sampler="lcm,euler", steps=60, exclude="sampler=lcm").plan.cells) == 1


def test_what_only_whole_recipes_tell_is_told_with_the_rest(reading: Reading) -> None:
    """Of a setting with one bad value the others still count, and so do `zip` and `exclude`."""
    messages = refused(
        reading, cfg="abc,-1,7,xyz", sampler="lcm,heun,foo", steps="60,0", models=["/no/such"]
    )
    for part in ("`abc`", "`xyz`", "cfg=-1:", "'foo'", "steps=0", "/no/such", "LCM takes 50"):
        assert sum(part in message for message in messages) == 1, (part, messages)
    assert len(messages) == 7
    paired = {"sampler": "lcm,euler", "steps": "4,60", "zip": ["sampler", "steps"]}
    assert len(refused(reading, cfg="x", **paired)) == 1
    assert len(refused(reading, cfg="x", sampler="lcm,euler", steps=60, exclude="sampler=lcm")) == 1


def test_a_fault_leads_to_no_other(reading: Reading) -> None:
    """A pair whose partner could not be read is not one too few."""
    paired = {"sampler": "lcm,euler", "steps": "60,x", "zip": ["sampler", "steps"]}
    (message,) = refused(reading, **paired)
    assert "`x` is not a whole number" in message
    (message,) = refused(reading, sampler="lcm,euler", steps=60, exclude="sampler>>lcm")
    assert message.startswith("exclude:")


def test_an_eta_without_effect_is_told(reading: Reading) -> None:
    (warning,) = reading(sampler="ddim,heun,euler_a,unipc", eta=0.5).warnings
    assert warning == "eta: has no effect on Heun, UniPC"
    (warning,) = reading(sampler="ddim,heun", eta="0,1").warnings
    assert "no effect on Heun" in warning and "the same picture" in warning
    assert reading(sampler="ddim,euler_a", eta="null,1").warnings == []
    assert reading(sampler="heun").warnings == []


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("a ship <lora:sea:0.7>", "`<lora:sea:0.7>` in a prompt is read as text: LoRAs"),
        ("a [red|blue] house", "`[red|blue]` in a prompt is read as text: prompts do"),
        ("a [cat:dog:0.5]", "`[cat:dog:0.5]` in a prompt is read as text: prompts do not change"),
        ("a cat AND a dog", "`AND` in a prompt is read as text: AND does not mix prompts"),
        ("a __colour__ cat", "`__colour__` in a prompt is read as text: wildcards"),
    ],
)
def test_what_other_programs_read_into_a_prompt_is_told(
    reading: Reading, prompt: str, says: str
) -> None:
    (warning,) = reading(prompt=prompt).warnings
    assert warning.startswith(says)


def test_plain_prompts_are_not_warned_of(reading: Reading) -> None:
    plain = r"a (house:1.3), [quiet], BREAK, time 12:30, \[a|b\], SAND AND, snake_case, (a:b)"
    assert reading(prompt=plain).warnings == []


def test_settings_without_effect_are_told(reading: Reading) -> None:
    assert reading(cfg=1, negative="a cat").warnings == ["negative: has no effect at cfg=1"]
    assert reading(cfg="1,7", guidance_rescale=0.7).warnings == [
        "guidance_rescale: has no effect at cfg=1"
    ]
    assert reading(cfg=7, negative="a cat", guidance_rescale=0.7).warnings == []
    (warning,) = reading(lora_scale="0.5,1").warnings
    assert warning.startswith("lora_scale: has no effect without lora=; cells that differ in it")


def test_cells_that_a_setting_without_effect_makes_alike_are_told(reading: Reading) -> None:
    for given, told in (
        ({"variation_seed": "1,2", "variation_strength": "0,0.5"}, "at variation_strength=0"),
        ({"hires_upscaler": "latent,pixel", "hires_scale": "1,2"}, "at hires_scale=1"),
        ({"emphasis": "a1111,none"}, "on short prompts without brackets"),
        ({"seed_resize": "none,64x64"}, "at the picture's own size"),
    ):
        (warning,) = reading(**given).warnings
        assert told in warning and warning.endswith("are the same picture")
    for given in (
        {"variation_seed": "1", "variation_strength": "0,0.5"},
        {"hires_strength": "0.5", "hires_scale": "1,2"},
        {"emphasis": "a1111,none", "prompt": "a (cat:1.3)"},
        {"emphasis": "a1111,none", "prompt": "a cat, " * 30},
        {"seed_resize": "none,32x64"},
        {"seed_resize": "none,64x64", "hires_scale": "2"},
    ):
        told_alike = [one for one in reading(**given).warnings if "same picture" in one]
        assert not told_alike


def test_seeds_without_effect_are_told(reading: Reading) -> None:
    for fixed in ({"fixed_noise": True, "samples": 2}, {"noise_seed": 1, "seed": "1,2"}):
        (warning,) = reading(sampler="heun,euler_a", **fixed).warnings
        assert warning.startswith("seed: has no effect on Heun where the start noise is fixed")
        assert reading(sampler="euler_a", **fixed).warnings == []
        assert reading(sampler="ddim", eta=1, **fixed).warnings == []
        (warning,) = reading(sampler="euler_a", eta=0, **fixed).warnings
        assert "no effect on Euler a" in warning
    assert reading(sampler="heun", samples=2).warnings == []
    assert reading(sampler="heun", fixed_noise=True).warnings == []


def test_none_is_no_image_and_no_size(reading: Reading) -> None:
    """For an axis that has a plain cell beside the others; '' is taken off by the shell."""
    cells = reading(seed_resize="none,64x64").plan.cells
    assert [cell.recipe.seed_resize for cell in cells] == ["", "64x64"]
    assert reading(init="none").plan.cells[0].recipe.init == ""


def test_half_a_character_is_no_text(reading: Reading) -> None:
    messages = refused(reading, prompt="a \udcff cat", negative=["ok", "\ud83d"], cfg="abc")
    assert [message.partition("=")[0] for message in messages] == ["prompt", "negative", "cfg"]
    assert "'a \\udcff cat': has bytes in it that are no text" in messages[0]


def test_excluding_everything_is_refused(reading: Reading) -> None:
    with pytest.raises(ConfigError, match="drops all 2 combinations"):
        reading(cfg="7,15", exclude="cfg>1")


def test_a_folder_that_cannot_be_written_is_refused(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    assert "cannot be written" in refused(reading)[0]


def test_a_disk_that_is_nearly_full_is_refused(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: (10**9, 10**9 - 1000, 1000))
    assert "the disk is nearly full" in refused(reading)[0]


def test_a_prompt_that_is_too_long_is_a_warning_with_what_is_cut(reading: Reading) -> None:
    request = reading(prompt="x " * 80 + "THE END", emphasis="none")
    (warning,) = request.warnings
    assert "takes 77 tokens" in warning and "THE END" in warning
    assert reading(prompt="short").warnings == []


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
    with pytest.raises(ConfigErrors, match=r"defaults\.nonsense(.|\n)*one fixed value"):
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
        (0.2, "below 1 s"),
        (12.4, "12 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (59.7, "1 min 0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
