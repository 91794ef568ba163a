"""The measures: what is asked of the miniatures is read off them and told line by line."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.miniature import card, data, lines, sampling
from experiments.miniature.evaluate import TYPED, report

FOLDER = Path(__file__).parents[3] / "sdviz" / "miniature"

shipped = pytest.mark.skipif(
    not (FOLDER / "model_index.json").exists(), reason="the miniature is not in this checkout"
)


def few_steps(distance: float) -> dict[str, object]:
    """The measure of few steps, where DPM++ 2M Karras is `distance` off and the others 10."""
    rows = {
        name: {steps: {"object": 0.95, "distance": 10.0} for steps in sampling.FEW}
        for name in sampling.FEW_SAMPLERS
    }
    rows["DPM++ 2M Karras"] = {s: {"object": 0.8, "distance": distance} for s in sampling.FEW}
    return json.loads(json.dumps({"few steps": rows}))  # as the record has it


@pytest.mark.parametrize("distance, nearest", [(4.0, True), (11.0, False)])
def test_a_sampler_that_is_not_nearest_fails_its_line(distance: float, nearest: bool) -> None:
    table = {line.name: line for line in lines.lines(few_steps(distance))}
    assert len(table) == 2 * len(sampling.FEW) + 1
    for steps in sampling.FEW:
        assert not table[f"object, DPM++ 2M Karras, {steps} steps, CFG 7"].met
        line = table[f"median distance to the converged picture, {steps} steps, CFG 7"]
        assert line.met is nearest and "Euler a 10.00" in line.measured


@pytest.mark.parametrize(
    "before, after, met", [(0.4, 0.01, True), (0.4, 0.1, False), (0, 0, False)]
)
def test_a_negative_prompt_takes_away_what_was_there(
    before: float, after: float, met: bool
) -> None:
    row = {"prompt": sampling.OPEN_PROMPT, "negative": sampling.NEGATIVE}
    row |= {"without": {"pyramid": before, "none": 0.0}, "with": {"pyramid": after, "none": 0.0}}
    table = {line.name: line for line in lines.lines({"open prompt": row})}
    assert table["the same with negative `pyramid`"].met is met


def test_equal_evaluations_are_fewer_steps_of_samplers_that_evaluate_twice() -> None:
    assert sampling.steps_within(8, "Euler") == 8
    assert sampling.steps_within(8, "Heun") == 4  # 7 evaluations
    assert sampling.steps_within(9, "Heun") == 5


def test_what_was_not_measured_has_no_line(tmp_path: Path, capsys) -> None:  # type: ignore
    record = tmp_path / "training.json"
    data.write_json(record, {"measures": {"speed": {"alone": 0.604, "in a batch of 16": 0.3}}})
    report("miniature", record, flow=False)
    rows = capsys.readouterr().out.strip().splitlines()[4:]
    assert [row.split(" | ")[-1] for row in rows] == ["yes |", "no |"]
    assert "0.60 s" in rows[0]


@shipped
def test_latents_are_drawn_on_from_where_it_was_stopped(tmp_path: Path, monkeypatch) -> None:  # type: ignore
    from diffusers import AutoencoderKL

    monkeypatch.setattr(data, "CHUNK", 3)
    vae = AutoencoderKL.from_pretrained(FOLDER / "vae").eval()
    first = data.draw_latents(tmp_path, 4, vae)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "latents").iterdir()}
    more = data.draw_latents(tmp_path, 8, vae)
    assert first.shape == (4, 4, 16, 16) and more.shape == (8, 4, 16, 16)
    assert np.array_equal(first, more[:4])
    assert len(kept) == 2
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


@shipped
def test_the_error_of_x0_grows_with_the_noise_and_a_caption_lowers_it() -> None:
    from experiments.miniature.folder import Folder
    from experiments.miniature.noise import errors

    rows = errors(Folder(FOLDER), count=8)
    caption = [row["caption"] for row in rows]
    assert caption == sorted(caption, reverse=True) and caption[0] < 1
    assert all(row["caption"] < row["no caption"] for row in rows if row["timestep"] >= 500)


@shipped
def test_the_card_of_the_shipped_record_has_its_lines() -> None:
    record = json.loads((FOLDER / "training.json").read_text("utf-8"))
    page = card.text(record, TYPED)
    for line in lines.lines(record["measures"]):
        assert line.row in page
