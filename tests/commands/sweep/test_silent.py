"""Settings that made no difference are said after the sweep, whatever it computed of it."""

from __future__ import annotations

from sdviz.commands.sweep import silent
from tests.engine.sweeping import cells_of


def test_settings_that_made_no_difference_are_named() -> None:
    cells = cells_of(
        *({"cfg": cfg, "seed": seed, "eta": eta} for cfg in (1, 4) for seed in (1, 2)
          for eta in (0.0, 1.0))
    )  # fmt: skip
    # cfg changes nothing, eta only where the seed is 2.
    hashes = {
        c.index: f"{c.recipe.seed} {c.recipe.eta if c.recipe.seed == 2 else 0}" for c in cells
    }
    assert silent.warnings(cells, hashes) == [
        "cfg: made no difference on tested; cells that differ only in it are the same picture",
        "eta: made no difference on tested in 2 of 4 pairs of cells that differ only in it",
    ]
    assert silent.warnings(cells, {cell.index: str(cell.index) for cell in cells}) == []
    assert silent.warnings(cells, {0: "a"}) == []
