"""The policy of the batch, without a tensor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from sdviz.engine.batcher import FIRST_ROWS, Batcher, RowBudget
from sdviz.plan.cells import Cell
from sdviz.plan.settings import Recipe


def cells(count: int, **settings: float) -> list[Cell]:
    recipe = Recipe(**{"cfg": 7.0, "width": 64, "height": 64, **settings})  # type: ignore[arg-type]
    return [Cell(i, (i,), recipe, str(i)) for i in range(count)]


def numbers(batch: list[Cell]) -> list[int]:
    return [cell.index for cell in batch]


def test_cells_ride_in_order_and_the_next_joins_when_one_leaves() -> None:
    waiting = cells(5)
    batcher = Batcher(waiting, RowBudget(6))
    assert numbers(batcher.next()) == [0, 1, 2]
    batcher.leave(waiting[1])
    assert numbers(batcher.next()) == [0, 2, 3]


def ticks(sweep: list[Cell], rows: int, evaluations: Callable[[Cell], int]) -> list[list[int]]:
    """The batches of a whole sweep."""
    batcher = Batcher(sweep, RowBudget(rows))
    left = {cell.index: evaluations(cell) for cell in sweep}
    batches = []
    while batcher:
        batches.append(numbers(batch := batcher.next()))
        for cell in batch:
            left[cell.index] -= 1
            if not left[cell.index]:
                batcher.leave(cell)
    return batches


def test_the_longest_of_the_last_start_first_so_that_none_ends_alone() -> None:
    sweep = [Cell(i, (i,), Recipe(cfg=7.0, steps=10 if i < 4 else 20), str(i)) for i in range(6)]
    batches = ticks(sweep, 8, lambda cell: cell.recipe.steps)
    assert [len(batch) for batch in batches] == [4] * 20
    assert batches[0] == [4, 5, 0, 1]


def test_where_only_some_fit_those_with_the_most_to_do_ride_and_all_end_together() -> None:
    budget = RowBudget(12)
    sweep = [Cell(i, (i,), Recipe(cfg=7.0, steps=12 if i == 5 else 6), str(i)) for i in range(6)]
    batcher = Batcher(sweep, budget)
    assert len(batcher.next()) == 6
    budget.halve()
    left = {cell.index: cell.recipe.steps - 1 for cell in sweep}
    sizes = []
    while batcher:
        batch = batcher.next()
        sizes.append(len(batch))
        for cell in batch:
            left[cell.index] -= 1
            if not left[cell.index]:
                batcher.leave(cell)
    assert sizes == [3] * 12  # the long one rode in each of the first eleven


def test_a_long_sweep_keeps_its_order_until_the_last_cells() -> None:
    sweep = [Cell(i, (i,), Recipe(cfg=7.0, steps=5 + i), str(i)) for i in range(40)]
    batches = ticks(sweep, 8, lambda cell: cell.recipe.steps)
    started = list(dict.fromkeys(number for batch in batches for number in batch))
    assert started[:32] == list(range(32))
    assert started[32:] == list(range(39, 31, -1))


def test_without_guidance_twice_as_many_cells_ride() -> None:
    assert len(Batcher(cells(9, cfg=1.0), RowBudget(6)).next()) == 6


def test_a_budget_below_one_cell_still_lets_one_ride() -> None:
    assert numbers(Batcher(cells(3), RowBudget(1)).next()) == [0]


def test_only_one_size_rides_at_a_time() -> None:
    mixed = [Cell(i, (i,), Recipe(width=64, height=(64, 128)[i % 2]), str(i)) for i in range(6)]
    batcher = Batcher(mixed, RowBudget(100))
    seen = []
    while batcher:
        batch = batcher.next()
        assert len({(cell.recipe.width, cell.recipe.height) for cell in batch}) == 1
        for cell in batch:
            seen.append(cell.index)
            batcher.leave(cell)
    assert sorted(seen) == list(range(6))


def test_after_a_halved_budget_every_cell_still_gets_its_turns() -> None:
    budget = RowBudget(12)
    batcher = Batcher(cells(6), budget)
    assert len(batcher.next()) == 6
    budget.halve()
    turns = [numbers(batcher.next()) for _ in range(4)]
    assert [len(turn) for turn in turns] == [3, 3, 3, 3]
    assert sorted(turns[0] + turns[1]) == list(range(6))
    assert sorted(turns[2] + turns[3]) == list(range(6))


def settle(budget: RowBudget, seconds: Callable[[int], float]) -> int:
    for _ in range(100):
        budget.measured(budget.rows, seconds(budget.rows))
    assert budget.settled
    return budget.rows


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [
        (lambda rows: 0.001 * rows, 32),  # nothing to gain, and nothing to lose
        (lambda rows: 0.010 + 0.001 * rows, 128),  # a fixed cost of ten rows: 3.6 % more at 256
        (lambda rows: 0.005 + 0.001 * rows + 0.1 * max(0, rows - 16), 16),  # a cliff after 16
    ],
)
def test_the_search_stops_where_rows_get_no_cheaper(
    seconds: Callable[[int], float], rows: int
) -> None:
    assert settle(RowBudget(), seconds) == rows


def test_a_disturbed_tick_does_not_mislead_the_search() -> None:
    disturbed = iter([0.1, 0.0, 0.0] * 100)
    assert settle(RowBudget(), lambda rows: 0.005 + 0.001 * rows + next(disturbed)) > FIRST_ROWS


def test_a_model_whose_ticks_take_long_stays_at_few_rows() -> None:
    assert settle(RowBudget(), lambda rows: 1.5 + 0.01 * rows) == FIRST_ROWS


def test_a_machine_that_gets_slower_for_a_while_does_not_end_the_search() -> None:
    slower = iter([*([1.0] * 4), *([1.5] * 1000)])
    assert settle(RowBudget(), lambda rows: (0.01 + 0.001 * rows) * next(slower)) == 128


def test_ticks_that_are_not_full_teach_nothing() -> None:
    budget = RowBudget()
    for _ in range(50):
        budget.measured(FIRST_ROWS // 2, 1.0)
    assert budget.rows == FIRST_ROWS
    assert not budget.settled


def test_a_configured_size_stays() -> None:
    budget = RowBudget(10)
    for _ in range(50):
        budget.measured(10, 1.0)
    assert budget.rows == 10


def test_halving_ends_at_one_row() -> None:
    budget = RowBudget(5)
    for expected in (2, 1, 1):
        budget.halve()
        assert budget.rows == expected


def test_the_policy_needs_no_torch() -> None:
    modules = "sys, sdviz.engine.batcher, sdviz.engine.batcher"
    code = f"import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
