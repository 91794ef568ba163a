"""prompts=file: a prompt a line, some with settings of their own, as stable-diffusion-webui has
them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reading import Reading, refused


def write(folder: Path, *lines: str) -> str:
    (folder / "prompts.txt").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "prompts.txt")


def test_a_line_may_have_settings(reading: Reading, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "a plain line, with a comma",
        '--prompt "a castle, (fog:1.2)" --negative_prompt "blur" --steps 7 --cfg_scale 4.5',
        "",
        "--prompt a ship at sea --sampler_name \"DPM++ 2M Karras\" --seed 99 --outpath_samples x/y",
    )  # fmt: skip
    plan = reading(prompts=file, prompt=None, steps="12", sampler="heun").plan
    told = [
        (r.prompt, r.negative, r.steps, r.cfg, r.sampler, r.seed)
        for r in (cell.recipe for cell in plan.cells)
    ]
    assert told == [
        ("a plain line, with a comma", "", 12, 7.0, "Heun", 42),
        ("a castle, (fog:1.2)", "blur", 7, 4.5, "Heun", 42),
        ("a ship at sea", "", 12, 7.0, "DPM++ 2M Karras", 99),
    ]
    (axis,) = plan.axes
    assert axis.keys == ("prompt", "negative", "steps", "cfg", "sampler", "seed")


def test_other_axes_stand_beside_the_lines(reading: Reading, tmp_path: Path) -> None:
    file = write(tmp_path, '--prompt "a" --width 64 --height 128', '--prompt "b" --clip_skip 2')
    plan = reading(prompts=file, prompt=None, cfg="3,5", width="128", height="64").plan
    sizes = [(cell.recipe.prompt, cell.recipe.width, cell.recipe.height) for cell in plan.cells]
    assert sizes == [("a", 64, 128)] * 2 + [("b", 128, 64)] * 2
    assert [cell.recipe.clip_skip for cell in plan.cells] == [1, 1, 2, 2]


def test_the_record_runs_again_without_the_file(reading: Reading, tmp_path: Path) -> None:
    file = write(tmp_path, '--prompt "a" --steps 3', '--prompt "b" --seed -1')
    first = reading(prompts=file, prompt=None)
    record = {k: v for k, v in first.record.items() if k not in ("models", "outputs", "device")}
    again = reading(**record)
    assert [cell.key for cell in again.plan.cells] == [cell.key for cell in first.plan.cells]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('--prompt "a', "line 2: No closing quotation"),
        ("--steps 3", "line 2: no prompt"),
        ('--prompt "a" --step 3', "--step: did you mean steps?"),
        ('--prompt "a" --sampler_index 3', "--sampler_name Euler"),
        ('--prompt "a" --batch_size 4', "samples="),
        ('--prompt "a" --styles "photo"', "--styles"),
        ('--prompt "a" --sd_model x', "model=a,b"),
        ('--prompt "a" --steps 3,4', "must be one value"),
        ('--prompt "a" --steps many', "`many` is not a whole number"),
        ('--prompt "a" --cfg_scale -1', "must be a number from 0"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    reading: Reading, tmp_path: Path, line: str, says: str
) -> None:
    file = write(tmp_path, "fine", line)
    (message,) = refused(reading, prompts=file, prompt=None)
    assert "line 2" in message and says in message


def test_several_values_and_lines_with_their_own_are_refused(
    reading: Reading, tmp_path: Path
) -> None:
    file = write(tmp_path, "fine", '--prompt "a" --steps 3')
    (message,) = refused(reading, prompts=file, prompt=None, steps="5,6")
    assert message.startswith("steps: lines of prompts=")
    zipped = reading(prompts=file, prompt=None, cfg="3,4", zip=["prompt", "cfg"]).plan
    assert [(c.recipe.cfg, c.recipe.steps) for c in zipped.cells] == [(3.0, 20), (4.0, 3)]


def test_options_that_change_nothing_are_no_settings(reading: Reading, tmp_path: Path) -> None:
    file = write(tmp_path, '--prompt "a" --n_iter 1 --restore_faces false --do_not_save_grid')
    assert [cell.recipe.prompt for cell in reading(prompts=file, prompt=None).plan.cells] == ["a"]
