"""Keys of cells stay what they were: recipes that were written down before the files of sdviz
moved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sdviz.plan.cells import cell_key
from sdviz.plan.settings import Recipe

WRITTEN: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("keys.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("row", WRITTEN, ids=lambda row: row["key"][:8])
def test_a_recipe_has_the_key_that_it_always_had(row: dict[str, Any]) -> None:
    recipe = Recipe(**row["recipe"])
    key = cell_key(
        recipe, model_identity="00" * 32, dtype=row["dtype"], contents=row.get("contents")
    )
    assert key == row["key"]
