"""Names, schedules and counts of the sampler table; no model."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from sdviz.errors import ConfigError
from sdviz.plan import samplers
from sdviz.plan.values import values_of


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("Euler a", "Euler a"),
        ("euler_a", "Euler a"),
        ("k_euler_a", "Euler a"),
        ("euler_ancestral", "Euler a"),
        ("EULER", "Euler"),
        ("DPM++ 2M Karras", "DPM++ 2M Karras"),
        ("dpmpp_2m_karras", "DPM++ 2M Karras"),
        ("k_dpmpp_2m", "DPM++ 2M"),
        ("DPM++ 2M", "DPM++ 2M"),
        ("dpm++ 2m sde heun exponential", "DPM++ 2M SDE Heun Exponential"),
        ("k_dpm_2_ancestral", "DPM2 a"),
        ("k_dpm_2", "DPM2"),
        ("DPM2 a Karras", "DPM2 a Karras"),
        ("uni_pc", "UniPC"),
        ("Euler SGM Uniform", "Euler SGM Uniform"),
        ("heun_beta", "Heun Beta"),
        ("DPM++ 2M Automatic", "DPM++ 2M Karras"),
        ("DPM++ 2M SDE Automatic", "DPM++ 2M SDE Exponential"),
        ("DPM++ 2M Uniform", "DPM++ 2M"),
        ("Euler Automatic", "Euler"),
    ],
)
def test_every_spelling_finds_its_sampler(spelling: str, name: str) -> None:
    assert samplers.resolve(spelling).name == name


@pytest.mark.parametrize("name", samplers.names())
def test_a_name_resolves_to_itself_in_any_case(name: str) -> None:
    assert samplers.resolve(name).name == name
    assert samplers.resolve(name.upper().replace(" ", "_")).name == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DPM++ 2S a", "DPM++ 2S"),
        ("DPM++ 2S a Karras", "DPM++ 2S"),
        ("k_dpmpp_2s_a", "DPM++ 2S"),
        ("DPM fast", "DPM++ 2M"),
        ("k_dpm_ad", "DPM++ 2M"),
        ("Restart", "Heun"),
        ("DDIM CFG++", "DDIM"),
        ("eulr", "Euler"),
        ("dpm++ 2m karas", "DPM++ 2M Karras"),
        ("DDIM Karras", "SGM Uniform"),
        ("Euler Align Your Steps", "Karras"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        samplers.resolve(name)
    assert repr(name) in str(refusal.value)
    assert expected in str(refusal.value)


def test_infotext_is_a_pair_that_a1111_reads_as_the_same_sampler() -> None:
    assert samplers.resolve("DPM++ 2M Karras").infotext == ("DPM++ 2M", "Karras")
    assert samplers.resolve("Euler a").infotext == ("Euler a", "Automatic")
    # "Automatic" would be Karras there, and these are the model's own sigmas.
    assert samplers.resolve("DPM++ 2M").infotext == ("DPM++ 2M", "Uniform")


@pytest.mark.parametrize("steps", [1, 2, 3, 20])
@pytest.mark.parametrize("name", ["Euler", "Heun", "PLMS"])
def test_each_step_is_completed_once_and_in_order(name: str, steps: int) -> None:
    sampler = samplers.resolve(name)
    completed = [sampler.step_completed(e, steps) for e in range(sampler.evaluations(steps))]
    assert [step for step in completed if step] == list(range(1, steps + 1))
    assert completed[-1] == steps


def test_the_table_needs_no_torch() -> None:
    code = (
        "import sys, sdviz.plan.samplers;sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_all_is_every_sampler_that_runs_on_any_model_here(monkeypatch: pytest.MonkeyPatch) -> None:
    found = values_of("sampler", "all")
    assert {"Euler a", "Heun", "DPM++ 2M", "DDIM", "UniPC"} <= set(found)
    assert "LCM" not in found and all(not samplers.resolve(name).schedule for name in found)
    assert values_of("sampler", ["all"]) == found
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "DPM++ SDE" not in values_of("sampler", "all")  # its package is missing
