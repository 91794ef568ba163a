"""Seeds of a request: drawn once, remembered, followed by others."""

from __future__ import annotations

from tests.reading import Reading


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
